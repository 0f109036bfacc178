package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a waiting process asks for the lock.
const lockPoll = 2 * time.Millisecond

// acquire takes the lock, trying until giveUp returns an error.
//
// Who wants it first takes the turn, a second lock on the same file, and gives
// that back with the lock in hand. A process that appends without a pause can
// then not take the lock again before the one that waits: it lacks the turn.
func (l *Log) acquire(giveUp func() error) error {
	fd := int(l.lock.Fd())
	err := try(giveUp, func() error { return turn(fd, unix.F_WRLCK) })
	if err != nil {
		return err
	}
	defer func() { _ = turn(fd, unix.F_UNLCK) }()
	if err := try(giveUp, func() error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) }); err != nil {
		return err
	}
	return l.stillLocks()
}

func turn(fd int, kind int16) error {
	return unix.FcntlFlock(uintptr(fd), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Len: 1})
}

// try calls lock until it has it.
func try(giveUp, lock func() error) error {
	var tick *time.Ticker
	for {
		err := lock()
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("cannot lock the audit log: %w", err)
		}
		if err := giveUp(); err != nil {
			return fmt.Errorf("audit log is locked by another process: %w", err)
		}
		if tick == nil {
			tick = time.NewTicker(lockPoll)
			defer tick.Stop()
		}
		<-tick.C
	}
}

// stillLocks makes sure that the lock held is the one others will ask for.
func (l *Log) stillLocks() error {
	if sameFile(l.lock, filepath.Join(l.dir, lockName)) {
		return nil
	}
	l.release()
	return l.breakDown(errors.New("the lock of the audit log was removed or replaced"))
}

// sameFile says whether path still names the open file f.
func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Lstat(path)
	return err == nil && os.SameFile(a, b)
}

func (l *Log) release() { _ = unix.Flock(int(l.lock.Fd()), unix.LOCK_UN) }
