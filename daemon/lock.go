package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
)

// ErrRunning says that another executor works here.
var ErrRunning = errors.New("the daemon is already running; stop it first, or see: qvm-remote-dom0 status")

// lockWait is how long a start waits for the lock of an executor that was
// killed: a child that it was about to start holds the lock, too, until it has
// become the program it is to be.
const lockWait = time.Second

// lockExecutor makes sure that one executor works below a root. The lock file
// is never unlinked.
func lockExecutor(ctx context.Context, path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the executor's lock: %w", err)
	}
	for deadline := time.Now().Add(lockWait); ; {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) || !sleep(ctx, 10*time.Millisecond, nil) {
			break
		}
	}
	if err != nil {
		_ = f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrRunning
		}
		return nil, fmt.Errorf("cannot take the executor's lock: %w", err)
	}
	return f, nil
}
