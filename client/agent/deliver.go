package agent

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"qvmremote/queue"
)

// outputMax bounds one output file: what dom0 sends, and its note that the
// rest was cut.
const outputMax = queue.MaxOutput + 1<<10

// setState shows how far a claimed request is. The first word also takes its
// files out of the queue; later ones leave alone what may be a copy put back
// since, for dom0 has to see that.
func (a *agent) setState(m *queue.SetState) error {
	first := !exists(a.layout.Running(m.ID))
	if err := queue.Publish(a.layout.Running(m.ID), []byte(m.Word)); err != nil {
		return err
	}
	if !first {
		return nil
	}
	return a.removeRequest(m.ID)
}

// removeRequest takes a request out of the queue, its header first: without
// one there is no request.
func (a *agent) removeRequest(id string) error {
	l := a.layout
	return remove(l.Header(id), l.Body(id), l.Stdin(id))
}

// removeCopy takes away the copy that a version-1 client keeps for its own
// history: only a refused request has none.
func (a *agent) removeCopy(id string) error {
	return remove(filepath.Join(a.layout.PendingDir(), id+".cmd"))
}

func (a *agent) writeOutput(m *queue.Write) error {
	ending := queue.Out
	if m.Stream == queue.Stderr {
		ending = queue.Err
	}
	if m.Offset > outputMax-int64(len(m.Bytes)) {
		return fmt.Errorf("output of %s would grow over %d bytes", m.ID, outputMax)
	}
	f, size, err := queue.OpenForWrite(a.layout.Result(m.ID, ending))
	if err != nil {
		return err
	}
	if m.Offset > size { // what was before it is lost; dom0 has to begin anew
		err = fmt.Errorf("%s has %d bytes, output begins at %d", m.ID+ending, size, m.Offset)
	} else {
		_, err = f.WriteAt(m.Bytes, m.Offset)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// finish delivers a final state. What the client takes for the end is renamed
// into place last.
func (a *agent) finish(m *queue.Finish) error {
	marker, other, text := queue.Exit, queue.Denied, []byte(m.Exit)
	if len(m.Denied) > 0 {
		marker, other, text = queue.Denied, queue.Exit, m.Denied
	}
	l := a.layout
	if !a.delivered(m.ID, marker, m.Auth) {
		if err := a.cut(m); err != nil {
			return err
		}
		if err := remove(l.Result(m.ID, other)); err != nil {
			return err
		}
		if err := a.publishResult(m.ID, m.Meta, m.Auth); err != nil {
			return err
		}
		if err := queue.Publish(l.Result(m.ID, marker), text); err != nil {
			return err
		}
		if err := a.log(m.Log); err != nil {
			return err
		}
	}
	if len(m.Denied) > 0 {
		if err := a.removeCopy(m.ID); err != nil {
			return err
		}
	}
	if err := a.removeRequest(m.ID); err != nil {
		return err
	}
	return remove(l.Running(m.ID), l.Cancel(m.ID))
}

// delivered reports whether this very answer is there already, or was and has
// been filed by the client. The client moves the marker last, so looking at
// the results before the history sees it in one of them.
func (a *agent) delivered(id, marker string, auth []byte) bool {
	if exists(a.layout.Result(id, marker)) {
		b, err := queue.ReadSmall(a.layout.Result(id, queue.Auth), queue.MaxHeader)
		if errors.Is(err, fs.ErrNotExist) { // an answer of version 1 has none
			err = nil
		}
		if err == nil && bytes.Equal(b, auth) {
			return true
		}
	}
	return a.filed(id, "result", "exit")
}

// filed reports whether the client's history holds one of files for id. An
// unsigned denial there is no answer that a signed one could hide behind.
func (a *agent) filed(id string, files ...string) bool {
	for _, name := range files {
		// An id has no characters that mean anything in a pattern.
		if found, _ := filepath.Glob(filepath.Join(a.layout.History(), "*", id, name)); len(found) > 0 {
			return true
		}
	}
	return false
}

// cut makes out and err as long as the signed result says.
func (a *agent) cut(m *queue.Finish) error {
	for ending, want := range map[string]int64{queue.Out: m.OutSize, queue.Err: m.ErrSize} {
		path := a.layout.Result(m.ID, ending)
		if len(m.Denied) > 0 && !exists(path) {
			continue
		}
		f, size, err := queue.OpenForWrite(path)
		if err != nil {
			return err
		}
		if size > want {
			err = f.Truncate(want)
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil && size < want {
			err = fmt.Errorf("%s has %d bytes, the result says %d", filepath.Base(path), size, want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) publishResult(id string, meta, auth []byte) error {
	if len(meta) > 0 {
		if err := queue.Publish(a.layout.Result(id, queue.Meta), meta); err != nil {
			return err
		}
	}
	if len(auth) == 0 {
		return remove(a.layout.Result(id, queue.Auth))
	}
	return queue.Publish(a.layout.Result(id, queue.Auth), auth)
}

// deny refuses what lies in pending. It is removed in any case, first where
// the disk is full; the denial is written only where it hides no answer.
func (a *agent) deny(m *queue.Deny) error {
	held := a.holds(m.ID)
	if err := errors.Join(a.removeRequest(m.ID), a.removeCopy(m.ID)); err != nil {
		return err
	}
	if held {
		return nil
	}
	if err := a.publishResult(m.ID, nil, m.Auth); err != nil {
		return err
	}
	if err := queue.Publish(a.layout.Result(m.ID, queue.Denied), m.Denied); err != nil {
		return err
	}
	return a.log(m.Log)
}

// holds reports whether there is an answer to id, or one under way.
func (a *agent) holds(id string) bool {
	for _, ending := range []string{queue.Exit, queue.Denied, queue.Out, queue.Err} {
		if exists(a.layout.Result(id, ending)) {
			return true
		}
	}
	return exists(a.layout.Running(id)) || a.filed(id, "result", "exit", "denied")
}

func (a *agent) clean(m *queue.Clean) error {
	dir := map[queue.Folder]string{
		queue.FolderPending: a.layout.PendingDir(),
		queue.FolderRunning: a.layout.RunningDir(),
		queue.FolderResults: a.layout.ResultsDir(),
		queue.FolderCancel:  a.layout.CancelDir(),
		queue.FolderStdin:   a.layout.StdinDir(),
	}[m.Folder]
	return remove(filepath.Join(dir, m.Name))
}

// log adds dom0's line to the qube's own log.
func (a *agent) log(line string) error {
	if line == "" {
		return nil
	}
	oneLine := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, line)
	return queue.AppendLine(a.layout.AuditLog(), oneLine)
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// remove unlinks the files at paths, of which any may be missing.
func remove(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
