package backlog

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/watch"
	"qvmremote/queue"
)

// Collect files the answers that nobody came for, see [client.Client.Collect]:
// those that are there, and then each that comes, until ctx ends. One that cannot
// be believed is looked at again when another comes. An error other than the
// context's says why the queue cannot be read.
func Collect(ctx context.Context, c *client.Client) error {
	return watch.Follow(ctx, paces, &collector{c})
}

type collector struct{ c *client.Client }

// Watch watches for ends of requests.
func (k *collector) Watch(w *watch.Watcher) error {
	l := k.c.Layout
	for _, dir := range []string{l.Root, filepath.Dir(l.ResultsDir())} {
		if err := w.Stays(dir); err != nil {
			return err
		}
	}
	return w.FolderOrBirth(l.ResultsDir(), unix.IN_CREATE|unix.IN_MOVED_TO, func(name string) bool {
		return strings.HasSuffix(name, queue.Exit) || strings.HasSuffix(name, queue.Denied)
	})
}

// Look collects all there are.
func (k *collector) Look(ctx context.Context, _ *watch.Watcher, _ bool) (time.Duration, error) {
	return watch.Never, k.c.Collect(ctx, most)
}
