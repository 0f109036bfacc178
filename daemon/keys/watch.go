package keys

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"qvmremote/queue"
)

const (
	settle  = 20 * time.Millisecond // one operation writes several files
	rewatch = time.Second           // how often a lost folder is looked for
	maxTold = 256                   // names held for a slow reader before "rescan"
)

// Watch tells the name of each qube whose key or meta may have changed, and ""
// when everything must be read again: events were lost, or the folder was
// removed and made anew. Names are gathered while the reader is busy, each told
// once. The channel is closed when ctx ends.
func (s *Store) Watch(ctx context.Context) (<-chan string, error) {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("cannot watch the keys: %w", err)
	}
	if err := w.Add(s.dir); err != nil {
		_ = w.Close()
		return nil, fmt.Errorf("cannot watch the keys: %w", err)
	}
	v := &watch{dir: s.dir, w: w, out: make(chan string), changed: map[string]bool{}}
	go v.run(ctx)
	return v.out, nil
}

type watch struct {
	dir     string
	w       *fsnotify.Watcher
	out     chan string
	changed map[string]bool
	ready   <-chan time.Time // fires when what changed has settled
	settled bool
	lost    <-chan time.Time // fires while the folder is not watched
}

func (v *watch) run(ctx context.Context) {
	defer close(v.out)
	defer func() { _ = v.w.Close() }()
	for {
		var out chan string
		var name string
		if v.settled {
			out, name = v.out, v.first()
		}
		select {
		case <-ctx.Done():
			return
		case e, ok := <-v.w.Events:
			if !ok {
				return
			}
			v.event(e)
		case err, ok := <-v.w.Errors:
			if !ok {
				return
			}
			v.note("")
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				v.lose()
			}
		case <-v.lost:
			v.find()
		case <-v.ready:
			v.ready, v.settled = nil, true
		case out <- name:
			delete(v.changed, name)
			v.settled = len(v.changed) > 0
		}
	}
}

func (v *watch) event(e fsnotify.Event) {
	if e.Name == v.dir {
		if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
			v.note("")
			v.lose()
		}
		return
	}
	base := filepath.Base(e.Name)
	for _, suffix := range []string{nextSuffix, keySuffix, metaSuffix} {
		if vm, ok := strings.CutSuffix(base, suffix); ok && queue.ValidQube(vm) {
			v.note(vm)
			return
		}
	}
}

func (v *watch) note(vm string) {
	if vm == "" || len(v.changed) >= maxTold {
		clear(v.changed)
		vm = ""
	}
	if !v.changed[""] {
		v.changed[vm] = true
	}
	if v.ready == nil && !v.settled {
		v.ready = time.After(settle)
	}
}

func (v *watch) first() string {
	for vm := range v.changed {
		return vm
	}
	return ""
}

func (v *watch) lose() {
	_ = v.w.Remove(v.dir) // fails when the kernel dropped it, which is as well
	v.lost = time.After(rewatch)
}

// find watches the folder again as soon as it is there.
func (v *watch) find() {
	if err := v.w.Add(v.dir); err != nil {
		v.lost = time.After(rewatch)
		return
	}
	v.lost = nil
	v.note("")
}
