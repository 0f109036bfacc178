package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"qvmremote/daemon/watch"
)

// errStopped is the cause with which requests end because of the file stop.
var errStopped = errors.New("everything was stopped in dom0")

// brake is what the files [paths.Root.Pause] and [paths.Root.Stop] say, as last
// looked at. That they are there is all that counts: whoever can make a name in
// the run folder, by whatever means is left in an emergency, can stop dom0 from
// acting for qubes.
type brake struct {
	mu      sync.Mutex
	looking sync.Mutex // one look at a time, so that none that is older comes last
	paused  bool       // nothing new is taken
	stopped bool       // nothing may run either
}

// paused looks whether nothing new may be taken, now: the kernel's word that a
// file is there may come late.
func (x *Executor) paused() bool {
	x.lookAtBrake()
	x.brake.mu.Lock()
	defer x.brake.mu.Unlock()
	return x.brake.paused
}

// stopped is the same for whether nothing may run.
func (x *Executor) stopped() bool {
	x.lookAtBrake()
	x.brake.mu.Lock()
	defer x.brake.mu.Unlock()
	return x.brake.stopped
}

// lookAtBrake does what the files say. Where that cannot be told, nothing new
// is taken, and what runs is left alone; the error says so. It waits for
// nothing: it is called with the log's lock held.
func (x *Executor) lookAtBrake() error {
	b := &x.brake
	b.looking.Lock()
	defer b.looking.Unlock()
	pause, perr := isThere(x.o.Root.Pause())
	stop, serr := isThere(x.o.Root.Stop())
	err := errors.Join(perr, serr)
	x.complain(healthPause, "cannot see whether the daemon is paused, so nothing new is taken", err)
	b.mu.Lock()
	if serr != nil {
		stop = b.stopped
	}
	pause = pause || stop || err != nil
	changed, kill := pause != b.paused || stop != b.stopped, stop && !b.stopped
	b.paused, b.stopped = pause, stop
	b.mu.Unlock()
	if !changed {
		return err
	}
	switch {
	case kill:
		x.warn("everything is stopped; nothing new is taken", "until", "qvm-remote-dom0 resume")
		x.stopEverything()
	case pause:
		x.warn("paused; nothing new is taken", "until", "qvm-remote-dom0 resume")
	default:
		x.info("not paused any more; requests are taken again")
	}
	x.status.touch()
	return err
}

// isThere reports whether there is anything of that name.
func isThere(path string) (bool, error) {
	_, err := os.Lstat(path)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	}
	return false, fmt.Errorf("cannot look for %s: %w", path, err)
}

// stopEverything takes back all that was approved, and ends what was claimed and
// has no final state: what runs with all its processes, what waits without its
// shell ever beginning. A request
// that is claimed at this moment is found by begin.
func (x *Executor) stopEverything() {
	if err := x.approvals.RevokeAll(); err != nil {
		x.warn("cannot keep that all approvals were taken back", "error", err)
	}
	for _, r := range x.active() {
		r.cancel(errStopped)
	}
}

// obeyBrake looks at the files now, and from now on at every change, until ctx
// ends. It is a goroutine of its own: what else the executor does must not
// hold it up.
func (x *Executor) obeyBrake(ctx context.Context) error {
	changes, err := watch.Folder(ctx, x.o.Root.Run())
	if err != nil {
		return fmt.Errorf("cannot watch for a pause: %w", err)
	}
	unsure := x.lookAtBrake()
	x.loops.Add(1)
	go func() {
		defer x.loops.Done()
		for {
			var again <-chan time.Time
			if unsure != nil {
				again = time.After(x.o.Times.Paused)
			}
			select {
			case c, ok := <-changes:
				if !ok {
					return
				}
				if c.Name != "" && c.Name != filepath.Base(x.o.Root.Pause()) && c.Name != filepath.Base(x.o.Root.Stop()) {
					continue // another file of the folder
				}
			case <-again:
			}
			unsure = x.lookAtBrake()
		}
	}()
	return nil
}
