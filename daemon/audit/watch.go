package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pollEvery is how often a follower looks where the kernel cannot tell it.
const pollEvery = time.Second

// watch tells when the head of a log was replaced.
type watch struct{ f *os.File }

// newWatch begins to watch; where the kernel has no watch left it polls.
func newWatch(dir string) *watch {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return &watch{}
	}
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_ONLYDIR); err != nil {
		_ = unix.Close(fd)
		return &watch{}
	}
	return &watch{os.NewFile(uintptr(fd), "inotify")}
}

func (w *watch) close() {
	if w.f != nil {
		_ = w.f.Close()
	}
}

// wait returns when something may have changed, at the latest after a minute,
// or with the error of ctx. A change since the last wait counts.
func (w *watch) wait(ctx context.Context) error {
	if w.f == nil {
		return sleep(ctx, pollEvery)
	}
	if err := w.f.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		return sleep(ctx, pollEvery)
	}
	stop := context.AfterFunc(ctx, func() { _ = w.f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := ctx.Err(); err != nil {
		return err
	}
	_, err := w.f.Read(make([]byte, 4096))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("cannot watch the audit log: %w", err)
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
