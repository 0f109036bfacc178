package agent

import (
	"io/fs"
	"time"

	"qvmremote/queue"
)

// list answers with the files of the queue. Names that are no ids are counted,
// never sent.
func (a *agent) list() (queue.Message, error) {
	var answer queue.Entries
	now := time.Now()
	for _, folder := range []struct {
		name queue.Folder
		dir  string
	}{
		{queue.FolderCancel, a.layout.CancelDir()},
		{queue.FolderPending, a.layout.PendingDir()},
		{queue.FolderRunning, a.layout.RunningDir()},
		{queue.FolderResults, a.layout.ResultsDir()},
		{queue.FolderStdin, a.layout.StdinDir()},
	} {
		err := eachEntry(folder.dir, func(e fs.DirEntry) {
			info, err := e.Info()
			switch {
			case err != nil: // gone since
			case !info.Mode().IsRegular(), !queue.ValidName(folder.name, e.Name()), len(answer.List) == queue.MaxNames:
				answer.More++
			default:
				answer.List = append(answer.List, queue.Entry{
					Folder: folder.name, Name: e.Name(), Size: info.Size(),
					Age:  max(int64(now.Sub(info.ModTime())/time.Second), 0),
					Word: a.word(folder.name, e.Name()),
				})
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return &answer, nil
}

// word reads what running/<id> shows; what is none of the words is left out.
func (a *agent) word(folder queue.Folder, id string) string {
	if folder != queue.FolderRunning {
		return ""
	}
	b, err := queue.ReadSmall(a.layout.Running(id), 64)
	if err != nil {
		return ""
	}
	switch w := queue.Word(b); w {
	case queue.WordQueued, queue.WordApproval, queue.WordRunning:
		return string(w)
	}
	return ""
}
