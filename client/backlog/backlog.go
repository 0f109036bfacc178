// Package backlog follows the queue of a qube: what waits for dom0, what runs,
// and what is left over. It guarantees that a list follows each change soon, at
// most ten a second, that nothing is looked for while the queue is empty, and
// that ages are told anew now and then while it is not.
package backlog

import (
	"context"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/watch"
	"qvmremote/queue"
)

// List is the queue as it was at one time.
type List struct {
	Requests []client.Queued
	More     int // files beyond those that were read
	Stale    int // requests and files that Clean would remove
}

var paces = watch.Paces{Rest: 100 * time.Millisecond, Blind: 5 * time.Second}

// aging is after what time ages are told again.
const aging = 30 * time.Second

// most bounds the files that are read, as the queue's names are.
const most = 6 * queue.MaxNames

// Follow lists the queue, and again after each change, until ctx ends. It calls
// tell from its own goroutine. An error other than the context's says why the
// queue cannot be read.
func Follow(ctx context.Context, c *client.Client, tell func(List)) error {
	return watch.Follow(ctx, paces, &follower{c, tell})
}

type follower struct {
	c    *client.Client
	tell func(List)
}

// Watch watches for files that come, go and are replaced, but for what is written
// into them.
func (f *follower) Watch(w *watch.Watcher) error {
	l := f.c.Layout
	for _, dir := range []string{l.Root, filepath.Dir(l.PendingDir())} {
		if err := w.Stays(dir); err != nil {
			return err
		}
	}
	for _, dir := range []string{l.PendingDir(), l.RunningDir(), l.ResultsDir(), l.CancelDir(), l.StdinDir()} {
		err := w.FolderOrBirth(dir, unix.IN_CREATE|unix.IN_DELETE|unix.IN_MOVED_TO|unix.IN_MOVED_FROM, func(string) bool { return true })
		if err != nil {
			return err
		}
	}
	return nil
}

// Look lists all of it.
func (f *follower) Look(ctx context.Context, _ *watch.Watcher, _ bool) (time.Duration, error) {
	requests, more, err := f.c.Queued(ctx, most)
	if err != nil {
		return 0, err
	}
	list := List{Requests: requests, More: more}
	for _, q := range requests {
		if q.Stale {
			list.Stale++
		}
	}
	f.tell(list)
	if len(requests) == 0 {
		return watch.Never, nil
	}
	return aging, nil
}
