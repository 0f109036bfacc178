package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// What [Admin.Paused] says.
const (
	NotPaused     = ""
	PausedOnly    = "paused"  // nothing new is taken
	PausedStopped = "stopped" // and nothing may run
)

const (
	stopWait   = 15 * time.Second      // for what ran to be gone
	stopLook   = 50 * time.Millisecond // between looks at what the executor says
	recordWait = 10 * time.Second      // for a record of what was done already
)

// recorded is what a file holds whose making is in the audit log. One that was
// made by hand, or whose maker died, does not.
const recorded = "recorded\n"

// Paused tells whether the executor, if one runs, takes nothing new, and
// whether nothing may run either: what it would do if it looked now. Where that
// cannot be told it is [PausedOnly], as for the executor.
func (a *Admin) Paused() (state string) {
	stop, serr := isThere(a.Root.Stop())
	pause, perr := isThere(a.Root.Pause())
	switch {
	case stop:
		return PausedStopped
	case pause, serr != nil, perr != nil:
		return PausedOnly
	}
	return NotPaused
}

// Pause has the executor take nothing new, until [Admin.Resume]; also one that
// starts later, until the next boot. What was claimed goes on: it runs, waits
// for its turn and then runs, and is answered. Requests stay in the qubes, and
// expire there. An error may mean that it is paused and not recorded; it says
// which.
func (a *Admin) Pause(ctx context.Context) (warnings []string, err error) {
	err = a.brake(a.Root.Pause(), func(path string) error { return disk.Place("admin.pause", path, nil, 0o600) })
	if err != nil {
		return nil, fmt.Errorf("not paused: %w", err)
	}
	warnings, err = a.recordBrake(ctx, a.Root.Pause(), audit.Paused)
	if err != nil {
		err = fmt.Errorf("paused, but that could not be recorded: %w", err)
	}
	return warnings, err
}

// StopEverything has every running command killed with all its processes, what
// waits denied, and the executor paused as by [Admin.Pause]. It returns when
// the executor, if one runs, says that nothing runs any more; if it does not
// say so within 15 s, the error names how many commands still run. The deed
// comes first and does not wait for its record.
func (a *Admin) StopEverything(ctx context.Context) (warnings []string, err error) {
	err = a.brake(a.Root.Stop(), func(path string) error { return disk.Place("admin.stop", path, nil, 0o600) })
	if err != nil {
		return nil, fmt.Errorf("nothing was stopped: %w", err)
	}
	deadline := time.Now().Add(stopWait)
	warnings, rerr := a.recordBrake(ctx, a.Root.Stop(), audit.StoppedEverything)
	if rerr != nil {
		rerr = fmt.Errorf("everything is told to stop, but that could not be recorded: %w", rerr)
	}
	return warnings, errors.Join(a.awaitStop(ctx, deadline), rerr)
}

// Resume takes back [Admin.Pause] and [Admin.StopEverything]. It is recorded
// first: what cannot be recorded does not resume. What was killed or denied
// stays so.
func (a *Admin) Resume(ctx context.Context) (warnings []string, err error) {
	if a.Paused() == NotPaused {
		return nil, nil
	}
	if warnings, err = a.record(ctx, audit.Record{Event: audit.Resumed}); err != nil {
		return warnings, fmt.Errorf("still paused, for that could not be recorded: %w", err)
	}
	if err = a.forgetApprovals(); err != nil {
		return warnings, fmt.Errorf("still paused, for what was approved could not be taken back: %w", err)
	}
	// Pause last: whatever ends this in between, nothing new is taken.
	if err = disk.Remove("admin.resume-stop", a.Root.Stop()); err == nil {
		err = disk.Remove("admin.resume", a.Root.Pause())
	}
	if err != nil {
		return warnings, fmt.Errorf("still paused; remove by hand what is there: %w", err)
	}
	return warnings, nil
}

// forgetApprovals takes back what was approved before everything was stopped,
// where no executor is there that did. One that starts meanwhile finds the file
// that stops everything.
func (a *Admin) forgetApprovals() error {
	if _, running := executor(a.Root.ExecutorLock()); running || a.Paused() != PausedStopped {
		return nil
	}
	return disk.Remove("admin.resume-approvals", a.Root.Approvals())
}

// brake has the file at path made, with nothing in it, so that a full disk is
// less in its way. What is there already, of whatever kind, will do.
func (a *Admin) brake(path string, place func(path string) error) error {
	if there, err := isThere(path); there && err == nil {
		return nil
	}
	if err := makeFolder(a.Root.Run(), 0o700); err != nil {
		return err
	}
	return place(path)
}

// recordBrake records the making of the file at path, once.
func (a *Admin) recordBrake(ctx context.Context, path string, event audit.Event) (warnings []string, err error) {
	if held, err := queue.ReadSmall(path, int64(len(recorded))); err == nil && string(held) == recorded {
		return nil, nil
	}
	// Whoever asked may be gone; it is done, and must be recorded.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordWait)
	defer cancel()
	if warnings, err = a.record(ctx, audit.Record{Event: event}); err != nil {
		return warnings, err
	}
	markRecorded(path)
	return warnings, nil
}

// markRecorded writes that into the file at path. Where it cannot, as on a full
// disk, the next one records it once more. It never makes the file: one that
// was taken away meanwhile must not come back.
func markRecorded(path string) {
	f, err := os.OpenFile(path, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		_, _ = f.WriteString(recorded)
	}
}

// awaitStop waits until the executor says that nothing runs.
func (a *Admin) awaitStop(ctx context.Context, deadline time.Time) error {
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	look := time.NewTicker(stopLook)
	defer look.Stop()
	for {
		pid, running := executor(a.Root.ExecutorLock())
		if !running {
			return nil
		}
		told, err := daemon.ReadStatus(a.Root.Status())
		if err == nil && told.Pid != pid {
			err = errors.New("it did not say yet how it is")
		}
		if err == nil && told.StoppedEverything && told.Running+told.Waiting == 0 {
			return nil
		}
		select {
		case <-look.C:
			continue
		case <-ctx.Done():
		}
		if err != nil {
			return fmt.Errorf("the daemon (process %d) does not say whether commands still run: %w", pid, err)
		}
		return fmt.Errorf("%d commands still run and %d wait; if they do not end, kill the daemon, which takes them along: kill -9 %d",
			told.Running, told.Waiting, pid)
	}
}

func isThere(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
