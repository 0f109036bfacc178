package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client/watch"
	"qvmremote/queue"
)

// arrives is how a request or a cancel comes into its folder. Removals bring
// nothing new and wake nobody.
const arrives = unix.IN_CREATE | unix.IN_MOVED_TO | unix.IN_CLOSE_WRITE

// tree keeps the queue's folders there, watched, and marked as served. Only
// the goroutine of the one open wait uses it.
type tree struct {
	layout  queue.Layout
	waits   Waits
	watcher *watch.Watcher
	lock    *os.File
}

func newTree(l queue.Layout, w Waits) *tree { return &tree{layout: l, waits: w} }

// ensure makes, watches and marks the queue anew where it vanished. Whoever
// took it away may be about to put another in its place, so ensure gives them
// a moment first.
func (t *tree) ensure(ctx context.Context) error {
	if t.watcher != nil && !t.watcher.Lost() {
		return nil
	}
	if t.watcher != nil {
		t.close()
		select {
		case <-time.After(t.waits.Settle):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := t.layout.Make(); err != nil {
		return err
	}
	t.hold()
	w := watch.New(t.waits.Pace)
	for _, dir := range []string{t.layout.Root, filepath.Dir(t.layout.PendingDir())} {
		if err := w.Folder(dir, 0, nobody); err != nil {
			w.Close()
			return err
		}
	}
	for dir, keep := range map[string]watch.Keep{t.layout.PendingDir(): header, t.layout.CancelDir(): visible} {
		if err := w.Folder(dir, arrives, keep); err != nil {
			w.Close()
			return err
		}
	}
	t.watcher = w
	return nil
}

func nobody(string) bool       { return false }
func visible(name string) bool { return !strings.HasPrefix(name, ".") }
func header(name string) bool  { return strings.HasSuffix(name, queue.Auth) && visible(name) }

// hold marks the queue as served: the client tells by this lock whether dom0
// is connected. Another's exclusive try lasts no longer than a look, so a few
// attempts are enough; without the lock only that display is wrong.
func (t *tree) hold() {
	f, _, err := queue.OpenForWrite(t.layout.AgentLock())
	if err != nil {
		return
	}
	for range 20 {
		if err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err == nil {
			t.lock = f
			// Nothing says that a lock was taken; that the file was touched does.
			now := unix.NsecToTimeval(time.Now().UnixNano())
			_ = unix.Futimes(int(f.Fd()), []unix.Timeval{now, now})
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = f.Close()
}

func (t *tree) close() {
	if t.watcher != nil {
		t.watcher.Close()
		t.watcher = nil
	}
	if t.lock != nil {
		_ = t.lock.Close()
		t.lock = nil
	}
}
