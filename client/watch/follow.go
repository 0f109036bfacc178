package watch

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// FolderOrBirth is Folder for a folder that may not be there yet: then it counts
// as lost, as one that went away, once it is.
func (w *Watcher) FolderOrBirth(path string, mask uint32, keep Keep) error {
	err := w.Folder(path, mask, keep)
	for errors.Is(err, fs.ErrNotExist) && path != filepath.Dir(path) {
		name := filepath.Base(path)
		path = filepath.Dir(path)
		err = w.Folder(path, unix.IN_CREATE|unix.IN_MOVED_TO, func(n string) bool {
			w.lost = w.lost || n == name // asked under the lock
			return n == name
		})
		// Made before the watch began, it would be waited for in vain.
		if err == nil && exists(filepath.Join(path, name)) {
			w.mu.Lock()
			w.lost = true
			w.mu.Unlock()
			w.signal()
		}
	}
	return err
}

// Stays counts the folder path, that may not be there yet, as lost when it comes,
// goes or is renamed, and nothing else of it.
func (w *Watcher) Stays(path string) error {
	return w.FolderOrBirth(path, 0, func(string) bool { return false })
}

func exists(path string) bool {
	var s unix.Stat_t
	return unix.Lstat(path, &s) == nil
}

// Follower follows what files say. Its methods are called by [Follow], from its
// goroutine.
type Follower interface {
	// Watch has w watch what is followed.
	Watch(w *Watcher) error
	// Look takes in what changed; with fresh anything may have. It says after
	// what time it is to be called again in any case; [Never] is never.
	Look(ctx context.Context, w *Watcher, fresh bool) (again time.Duration, err error)
}

// Never is as long as a wait can be.
const Never time.Duration = 1<<63 - 1

// Paces are how often [Follow] looks at most.
type Paces struct {
	Rest  time.Duration // after a look that a change made, before the next one
	Blind time.Duration // between looks where the system has no inotify left

	Asked <-chan struct{} // has a look come at once, whatever the paces; nil for never
}

// Follow has f look now and after each change, until ctx ends or f fails. Where a
// watched folder goes away it has f watch and look at all of it again.
func Follow(ctx context.Context, p Paces, f Follower) error {
	for {
		w := New(p.Blind)
		err := follow(ctx, p, f, w)
		w.Close()
		if err == nil {
			err = pause(ctx, p.Rest)
		}
		if err != nil {
			return err
		}
	}
}

// follow returns nil when w has lost a folder.
func follow(ctx context.Context, p Paces, f Follower, w *Watcher) error {
	if err := f.Watch(w); err != nil {
		return err
	}
	for fresh := true; !w.Lost(); {
		again, err := f.Look(ctx, w, fresh)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		timer := time.NewTimer(again)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-p.Asked:
		case <-w.Changed():
			if again > 0 {
				err = pause(ctx, p.Rest) // more may come with it
			}
		}
		timer.Stop()
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		fresh = w.Missed()
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
