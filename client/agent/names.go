package agent

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"qvmremote/queue"
)

// await answers wait: the names in the queue once their number differs from
// the one dom0 has seen, or its time is over.
func (a *agent) await(ctx context.Context, m queue.Wait) (*queue.Names, error) {
	over := m.MaxMS == 0
	timer := time.NewTimer(time.Duration(m.MaxMS) * time.Millisecond)
	defer timer.Stop()
	for {
		if err := a.tree.ensure(ctx); err != nil {
			return nil, err
		}
		answer := a.names.scan(a.layout)
		if over || answer.Number != m.Seen {
			return answer, nil
		}
		select {
		case <-a.tree.watcher.Changed():
		case <-timer.C:
			over = true
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// identity tells a header from one that replaced it under the same name.
type identity struct {
	inode        uint64
	size         int64
	mtime, ctime syscall.Timespec
}

// names is what the last look found. The number grows when a name is added or
// its file replaced, never when one goes.
type names struct {
	number int64
	seen   map[string]identity // by path
}

func (n *names) scan(l queue.Layout) *queue.Names {
	seen := map[string]identity{}
	cancels := look(l.CancelDir(), "", queue.MaxNames, seen)
	ids := look(l.PendingDir(), queue.Auth, queue.MaxNames-len(cancels), seen)
	for path, id := range seen {
		if before, known := n.seen[path]; !known || before != id {
			n.number++
			break
		}
	}
	n.seen = seen
	return &queue.Names{Number: n.number, IDs: ids, Cancels: cancels}
}

// look lists at most max ids whose file ends in ending, the lowest first: ids
// begin with their time. A name that is no id or no regular file is as if it
// were not there. It holds a bounded number of names, however many there are.
func look(dir, ending string, max int, seen map[string]identity) []string {
	var ids []string
	_ = eachEntry(dir, func(e fs.DirEntry) {
		id, ok := strings.CutSuffix(e.Name(), ending)
		if !ok || !queue.ValidID(id) || !e.Type().IsRegular() {
			return
		}
		if ids = append(ids, id); len(ids) >= 2*queue.MaxNames {
			slices.Sort(ids)
			ids = ids[:queue.MaxNames]
		}
	})
	slices.Sort(ids)
	ids = ids[:min(len(ids), max)]
	return slices.DeleteFunc(ids, func(id string) bool {
		path := filepath.Join(dir, id+ending)
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			return true
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			seen[path] = identity{inode: s.Ino, size: s.Size, mtime: s.Mtim, ctime: s.Ctim}
		}
		return false
	})
}

// eachEntry calls use for the entries of dir, reading it in pieces.
func eachEntry(dir string, use func(fs.DirEntry)) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	for {
		entries, err := d.ReadDir(256)
		for _, e := range entries {
			use(e)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
