package keys

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"qvmremote/daemon/watch"
	"qvmremote/queue"
)

const (
	settle  = 20 * time.Millisecond // one operation writes several files
	maxTold = 256                   // names held for a slow reader before "rescan"
)

// rulesFolder is where, beside the keys, rules are that several qubes' include.
const rulesFolder = "include"

// Watch tells the name of each qube whose key, meta or rules may have changed, and ""
// when everything must be read again: events were lost, or the folder was
// removed or made anew. Names are gathered while the reader is busy, each told
// once. The channel is closed when ctx ends.
func (s *Store) Watch(ctx context.Context) (<-chan string, error) {
	changes, err := watch.Folder(ctx, s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot watch the keys: %w", err)
	}
	f := &follower{out: make(chan string), changed: map[string]bool{}}
	f.watchIncluded = func() (<-chan watch.Change, error) { return watch.Folder(ctx, filepath.Join(s.dir, rulesFolder)) }
	f.include()
	go f.run(changes)
	return f.out, nil
}

// follower makes names of qubes of the changes in the folder.
type follower struct {
	out           chan string
	watchIncluded func() (<-chan watch.Change, error)
	included      <-chan watch.Change // nil until there is such a folder
	changed       map[string]bool     // not told yet
	ready         <-chan time.Time    // fires when what changed has settled
	settled       bool                // changed may be told
}

func (f *follower) run(changes <-chan watch.Change) {
	defer close(f.out)
	for {
		var out chan string
		var name string
		if f.settled {
			out, name = f.out, f.first()
		}
		select {
		case c, ok := <-changes:
			if !ok {
				return
			}
			f.change(c)
		case _, ok := <-f.included:
			if !ok {
				f.included = nil
				continue
			}
			f.note("") // any qube may include it
		case <-f.ready:
			f.ready, f.settled = nil, true
		case out <- name:
			delete(f.changed, name)
			f.settled = len(f.changed) > 0
		}
	}
}

func (f *follower) change(c watch.Change) {
	if c.Name == "" || c.Name == rulesFolder {
		if f.included == nil {
			f.include()
		}
		f.note("") // also for what was put there before it was watched
		return
	}
	for _, suffix := range []string{nextSuffix, keySuffix, metaSuffix, rulesSuffix} {
		if vm, ok := strings.CutSuffix(c.Name, suffix); ok && queue.ValidQube(vm) {
			f.note(vm)
			return
		}
	}
}

// include begins to watch the included rules if there are any yet.
func (f *follower) include() {
	if changes, err := f.watchIncluded(); err == nil {
		f.included = changes
	}
}

func (f *follower) note(vm string) {
	if vm == "" || len(f.changed) >= maxTold {
		clear(f.changed)
		vm = ""
	}
	if !f.changed[""] {
		f.changed[vm] = true
	}
	if f.ready == nil && !f.settled {
		f.ready = time.After(settle)
	}
}

func (f *follower) first() string {
	for vm := range f.changed {
		return vm
	}
	return ""
}
