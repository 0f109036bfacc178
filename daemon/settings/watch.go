package settings

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	settle  = 50 * time.Millisecond // an editor removes the file and puts a new one
	rewatch = time.Second           // how often a lost folder is looked for
)

// Update is what a change of the file comes to.
type Update struct {
	Settings Settings // in force now; the last good ones when Err is set
	Warnings []Warning
	Err      error // why the file was not taken
}

// Watch reads the settings again whenever the file changes and tells when
// that makes a difference to last, to what was told before, or to whether the
// file can be read. A reader that is slow gets the newest only. The channel is
// closed when ctx ends.
func (src Source) Watch(ctx context.Context, last Settings) (<-chan Update, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch the settings: %w", err)
	}
	src.Path = filepath.Clean(src.Path)
	// The folder, for the file is replaced, not written.
	if err := w.Add(filepath.Dir(src.Path)); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("cannot watch the settings: %w", err)
	}
	v := &watch{src: src, dir: filepath.Dir(src.Path), w: w, out: make(chan Update), told: Update{Settings: last}}
	v.load() // it may have changed before it was watched
	go v.run(ctx)
	return v.out, nil
}

type watch struct {
	src   Source
	dir   string
	w     *fsnotify.Watcher
	out   chan Update
	told  Update // what the reader knows
	next  Update // what it should know, when news is set
	news  bool
	ready <-chan time.Time // fires when the change has settled
	lost  <-chan time.Time // fires while the folder is not watched
}

func (v *watch) run(ctx context.Context) {
	defer close(v.out)
	defer func() { _ = v.w.Close() }()
	for {
		var out chan Update
		if v.news {
			out = v.out
		}
		select {
		case <-ctx.Done():
			return
		case e, ok := <-v.w.Events:
			if !ok {
				return
			}
			v.event(e)
		case _, ok := <-v.w.Errors:
			if !ok {
				return
			}
			v.lose() // events may be missing: watch anew, and read
		case <-v.lost:
			v.find()
		case <-v.ready:
			v.ready = nil
			v.load()
		case out <- v.next:
			v.told, v.news = v.next, false
		}
	}
}

func (v *watch) event(e fsnotify.Event) {
	switch {
	case e.Name == v.dir && (e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename)):
		v.lose()
	case e.Name == v.src.Path && v.ready == nil:
		v.ready = time.After(settle)
	}
}

func (v *watch) lose() {
	_ = v.w.Remove(v.dir) // fails when the kernel dropped it, which is as well
	v.lost = time.After(rewatch)
}

func (v *watch) find() {
	if err := v.w.Add(v.dir); err != nil {
		v.lost = time.After(rewatch)
		return
	}
	v.lost = nil
	v.load()
}

func (v *watch) load() {
	s, warnings, err := v.src.Load()
	if err != nil {
		good := v.told.Settings
		if v.news {
			good = v.next.Settings
		}
		s, warnings = good, nil
	}
	v.next = Update{Settings: s, Warnings: warnings, Err: err}
	v.news = !reflect.DeepEqual(s, v.told.Settings) || errorText(err) != errorText(v.told.Err)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
