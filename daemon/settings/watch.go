package settings

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"time"

	"qvmremote/daemon/watch"
)

const settle = 50 * time.Millisecond // an editor removes the file and puts a new one

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
	// The folder, for the file is replaced, not written.
	changes, err := watch.Folder(ctx, filepath.Dir(src.Path))
	if err != nil {
		return nil, fmt.Errorf("cannot watch the settings: %w", err)
	}
	f := &follower{src: src, out: make(chan Update), told: Update{Settings: last}}
	f.load() // it may have changed before it was watched
	go f.run(changes)
	return f.out, nil
}

// follower makes updates of the changes in the file's folder.
type follower struct {
	src   Source
	out   chan Update
	told  Update           // what the reader knows
	next  Update           // what it should know, when news is set
	news  bool             // next differs from told
	ready <-chan time.Time // fires when the change has settled
}

func (f *follower) run(changes <-chan watch.Change) {
	defer close(f.out)
	for {
		var out chan Update
		if f.news {
			out = f.out
		}
		select {
		case c, ok := <-changes:
			if !ok {
				return
			}
			f.change(c)
		case <-f.ready:
			f.ready = nil
			f.load()
		case out <- f.next:
			f.told, f.news = f.next, false
		}
	}
}

// change has the file read. A folder that went away tells nothing: what is in
// it may be on its way back.
func (f *follower) change(c watch.Change) {
	if !c.Lost && (c.Name == "" || c.Name == filepath.Base(f.src.Path)) && f.ready == nil {
		f.ready = time.After(settle)
	}
}

func (f *follower) load() {
	s, warnings, err := f.src.Load()
	if err != nil {
		good := f.told.Settings
		if f.news {
			good = f.next.Settings
		}
		s, warnings = good, nil
	}
	f.next = Update{Settings: s, Warnings: warnings, Err: err}
	f.news = !reflect.DeepEqual(s, f.told.Settings) || errorText(err) != errorText(f.told.Err)
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
