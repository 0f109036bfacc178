// Package standing says how a qube stands with dom0, as far as that can be seen
// from its own folder: whether there is a key, whether dom0 looks into the queue,
// and what keeps the queue from being used.
//
// It guarantees that nothing is asked of dom0, that the folder is watched and not
// polled, and that a trouble which goes away is told of as gone by itself.
package standing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/watch"
	"qvmremote/queue"
)

// Standing is what can be seen.
type Standing struct {
	Trouble error // why the queue cannot be used; nil if it can

	Qube        string // its name, or [queue.AnyQube]
	Fingerprint string // of the key; "" without one
	KeyProblem  error  // why the key there is cannot be used
	KeySince    time.Time

	Legacy    bool // the queue speaks version 1, of which a look leaves no mark: see [client.LegacyRisk]
	Connected bool
	LastLook  time.Time // when dom0 was last known to look; zero for never
}

// HasKey reports whether requests can be signed.
func (s Standing) HasKey() bool { return s.Fingerprint != "" }

// Paces are how often it looks at most. Tests shorten them.
type Paces struct {
	Rest    time.Duration // after a change, before the look
	Blind   time.Duration // between looks where the system has no inotify left
	Trouble time.Duration // between looks while the queue cannot be used: nothing says when a disk has room again
	Fresh   time.Duration // how old a look of dom0 may be, see [client.Client.Connected]

	Asked Bell // has a look come at once, whatever the paces; nil for never
}

// Bell asks for a look, as when something failed: no file tells of a disk that is
// full.
type Bell chan struct{}

// NewBell is one that was not rung.
func NewBell() Bell { return make(Bell, 1) }

// Ring asks, from any goroutine, and never waits.
func (b Bell) Ring() {
	select {
	case b <- struct{}{}:
	default: // somebody has asked already
	}
}

// DefaultPaces are the program's.
func DefaultPaces() Paces {
	return Paces{Rest: 100 * time.Millisecond, Blind: 2 * time.Second, Trouble: 3 * time.Second, Fresh: time.Minute}
}

// Follow tells how the qube stands now, and again whenever that changes, until
// ctx ends. tell is called from the goroutine of Follow.
func Follow(ctx context.Context, c *client.Client, p Paces, tell func(Standing)) {
	f := &follower{client: c, paces: p, tell: tell}
	for ctx.Err() == nil {
		err := watch.Follow(ctx, watch.Paces{Rest: p.Rest, Blind: p.Blind, Asked: p.Asked}, f)
		if ctx.Err() != nil {
			return
		}
		// It could not be watched, or not be looked at: what is known is told,
		// and after a while all of it is tried again.
		s := f.look(ctx)
		if s.Trouble == nil {
			s.Trouble = err
		}
		f.say(s)
		select {
		case <-ctx.Done():
		case <-p.Asked:
		case <-time.After(p.Trouble):
		}
	}
}

// follower is what [watch.Follow] calls.
type follower struct {
	client *client.Client
	paces  Paces
	tell   func(Standing)
	told   *Standing
	name   string // once it is known
}

// errTrouble ends a look at a queue that cannot be watched as it is.
var errTrouble = errors.New("the queue cannot be used")

// Watch has w watch the key, and the marks that an agent or a look leaves. These
// are changes that no look of ours makes: what is only read is not closed after
// writing, and its times stay.
func (f *follower) Watch(w *watch.Watcher) error {
	l := f.client.Layout
	if err := f.client.Prepare(); err != nil {
		return err
	}
	const changes = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_MOVED_FROM | unix.IN_DELETE | unix.IN_CLOSE_WRITE | unix.IN_ATTRIB
	named := func(paths ...string) watch.Keep {
		return func(name string) bool {
			if name == "" { // the folder itself: whose it is, and for whom it is open
				return true
			}
			for _, p := range paths {
				if name == filepath.Base(p) {
					return true
				}
			}
			return false
		}
	}
	if err := w.FolderOrBirth(l.Root, changes, named(l.Key(), l.Name())); err != nil {
		return err
	}
	if err := w.FolderOrBirth(filepath.Dir(l.AgentLock()), changes, named(l.AgentLock(), l.LastLook())); err != nil {
		return err
	}
	for _, dir := range []string{l.PendingDir(), l.RunningDir(), l.ResultsDir(), l.CancelDir(), l.StdinDir()} {
		if err := w.Stays(dir); err != nil {
			return err
		}
	}
	return nil
}

// Look tells what changed.
func (f *follower) Look(ctx context.Context, _ *watch.Watcher, _ bool) (time.Duration, error) {
	s := f.look(ctx)
	if s.Trouble != nil {
		return 0, errTrouble
	}
	f.say(s)
	if age := time.Since(s.LastLook); s.Connected && age < f.paces.Fresh {
		// While an agent serves the queue this only says that it still does.
		return max(f.paces.Fresh-age, time.Second), nil
	}
	return watch.Never, nil
}

func (f *follower) look(ctx context.Context) Standing {
	s := Standing{Trouble: f.trouble(), Qube: f.name, Legacy: f.client.Legacy}
	switch k, err := f.client.Key(); {
	case err == nil:
		s.Fingerprint = k.Fingerprint()
		if info, err := os.Lstat(f.client.Layout.Key()); err == nil {
			s.KeySince = info.ModTime()
		}
	case !errors.Is(err, client.ErrNoKey):
		s.KeyProblem = err
	}
	s.Connected, s.LastLook = f.client.Connected()
	if f.name == "" || s.Connected {
		s.Qube = f.client.QubeName(ctx)
		if s.Qube != queue.AnyQube {
			f.name = s.Qube
		}
	}
	return s
}

// trouble is why nothing could be submitted. Where the files are another
// account's, or a folder is read-only, that shows before anything is lost.
func (f *follower) trouble() error {
	if err := f.client.Prepare(); err != nil {
		return err
	}
	dir := f.client.Layout.PendingDir()
	if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
		return fmt.Errorf("the folder %s cannot be written to: %w", f.client.Layout.Root, err)
	}
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err == nil && fs.Blocks > 0 && fs.Bavail == 0 {
		return client.ErrDiskFull
	}
	return nil
}

// say tells what is new.
func (f *follower) say(s Standing) {
	if f.told != nil && same(*f.told, s) {
		return
	}
	f.told = &s
	f.tell(s)
}

// same reports whether a person would see no difference.
func same(a, b Standing) bool {
	text := func(err error) string {
		if err == nil {
			return ""
		}
		return err.Error()
	}
	return text(a.Trouble) == text(b.Trouble) && a.Qube == b.Qube && a.Fingerprint == b.Fingerprint && text(a.KeyProblem) == text(b.KeyProblem) &&
		a.KeySince.Equal(b.KeySince) && a.Connected == b.Connected && a.LastLook.Truncate(time.Minute).Equal(b.LastLook.Truncate(time.Minute))
}
