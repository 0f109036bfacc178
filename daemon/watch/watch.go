// Package watch says what changes in a folder of dom0's own files, by inotify.
// It guarantees that nothing is missed for good: where events were lost, or the
// folder went away and came back, it says that anything may have changed.
package watch

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const rewatch = time.Second // how often a lost folder is looked for

// Change is what may have changed.
type Change struct {
	Name string // a file's name within the folder; "" is anything in it
	Lost bool   // the folder itself went away; a Change without it follows when it is back
}

// Folder tells what changes in dir, which must be there, until ctx ends; then
// it closes the channel. A reader should be quick: what it does not take is
// kept by the system, up to a bound, after which one Change says that anything
// may have changed.
func Folder(ctx context.Context, dir string) (<-chan Change, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	dir = filepath.Clean(dir)
	if err := w.Add(dir); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("cannot watch %s: %w", dir, err)
	}
	f := &folder{dir: dir, w: w, out: make(chan Change)}
	go f.run(ctx)
	return f.out, nil
}

type folder struct {
	dir  string
	w    *fsnotify.Watcher
	out  chan Change
	lost <-chan time.Time // fires while the folder is not watched
}

func (f *folder) run(ctx context.Context) {
	defer close(f.out)
	defer func() { _ = f.w.Close() }()
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-f.w.Events:
			if !ok {
				return
			}
			f.event(ctx, e)
		case _, ok := <-f.w.Errors:
			if !ok {
				return
			}
			f.lose() // events may be missing: watch anew, then tell
		case <-f.lost:
			f.find(ctx)
		}
	}
}

func (f *folder) event(ctx context.Context, e fsnotify.Event) {
	switch {
	case e.Name != f.dir:
		f.tell(ctx, Change{Name: filepath.Base(e.Name)})
	case e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename):
		f.lose()
		f.tell(ctx, Change{Lost: true})
	}
}

func (f *folder) lose() {
	_ = f.w.Remove(f.dir) // fails when the kernel dropped it, which is as well
	f.lost = time.After(rewatch)
}

// find watches the folder again as soon as it is there.
func (f *folder) find(ctx context.Context) {
	if err := f.w.Add(f.dir); err != nil {
		f.lost = time.After(rewatch)
		return
	}
	f.lost = nil
	f.tell(ctx, Change{})
}

func (f *folder) tell(ctx context.Context, c Change) {
	select {
	case f.out <- c:
	case <-ctx.Done():
	}
}
