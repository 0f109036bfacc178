package admin

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/audit"
)

// braked counts the records of pauses and stops.
func (l *lab) braked() map[audit.Event]int {
	l.t.Helper()
	n := map[audit.Event]int{}
	err := audit.Read(context.Background(), l.Root.Audit(), 0, func(r audit.Record, _ []byte) error {
		switch r.Event {
		case audit.Paused, audit.Resumed, audit.StoppedEverything:
			n[r.Event]++
			if r.Who != "tester" || r.Way != "test" {
				l.t.Errorf("recorded without who and way: %+v", r)
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.t.Fatal(err)
	}
	return n
}

func TestPauseAndResumeAreRecordedOnce(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	do := func(what func(context.Context) ([]string, error), state string) {
		t.Helper()
		if _, err := what(t.Context()); err != nil || l.Paused() != state {
			t.Errorf("%v, state %q, want %q", err, l.Paused(), state)
		}
	}
	do(l.Resume, NotPaused)
	do(l.Pause, PausedOnly)
	do(l.Pause, PausedOnly)
	do(l.StopEverything, PausedStopped) // no executor runs: nothing to wait for
	do(l.StopEverything, PausedStopped)
	do(l.Resume, NotPaused)
	do(l.Resume, NotPaused)
	if n := l.braked(); n[audit.Paused] != 1 || n[audit.StoppedEverything] != 1 || n[audit.Resumed] != 1 {
		t.Errorf("recorded: %v", n)
	}
}

// TestResumingBeginsWithNothingApproved, also where no executor was there to
// take that back when everything was stopped.
func TestResumingBeginsWithNothingApproved(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	_, err := l.StopEverything(t.Context())
	l.must(err)
	l.must(os.WriteFile(l.Root.Approvals(), []byte("{}"), 0o600))
	_, err = l.Resume(t.Context())
	l.must(err)
	if _, err := os.Stat(l.Root.Approvals()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("what was approved is still there: %v", err)
	}
}

// TestAPauseMadeByHandIsRecordedWhenRepeated: so is one whose maker died before
// its record.
func TestAPauseMadeByHandIsRecordedWhenRepeated(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.must(os.MkdirAll(l.Root.Run(), 0o700))
	l.must(os.WriteFile(l.Root.Pause(), nil, 0o600))
	l.must(os.Mkdir(l.Root.Stop(), 0o700))
	if l.Paused() != PausedStopped {
		t.Errorf("a folder of that name: %q", l.Paused())
	}
	for range 2 {
		if _, err := l.Pause(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if n := l.braked(); n[audit.Paused] != 1 {
		t.Errorf("recorded: %v", n)
	}
	if _, err := l.Resume(t.Context()); err != nil || l.Paused() != NotPaused {
		t.Errorf("resumed: %v, %q", err, l.Paused())
	}
}

// TestAnEmergencyDoesNotWaitForItsRecord: where the audit log cannot be
// written, things stop all the same, and do not resume.
func TestAnEmergencyDoesNotWaitForItsRecord(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.must(os.MkdirAll(filepath.Dir(l.Root.Audit()), 0o700))
	l.must(os.WriteFile(l.Root.Audit(), nil, 0o600)) // no folder
	if _, err := l.StopEverything(t.Context()); err == nil || !strings.Contains(err.Error(), "could not be recorded") || l.Paused() != PausedStopped {
		t.Errorf("%v, %q", err, l.Paused())
	}
	if _, err := l.Pause(t.Context()); err == nil || !strings.Contains(err.Error(), "paused, but") {
		t.Errorf("pause: %v", err)
	}
	if _, err := l.Resume(t.Context()); err == nil || l.Paused() != PausedStopped {
		t.Errorf("resumed without a record: %v, %q", err, l.Paused())
	}
	l.must(os.Remove(l.Root.Audit()))
	if _, err := l.Resume(t.Context()); err != nil || l.Paused() != NotPaused {
		t.Errorf("resumed: %v, %q", err, l.Paused())
	}
}

// TestStopEverythingSaysWhoStillRuns: an executor that does not do it must not
// look as if it had.
func TestStopEverythingSaysWhoStillRuns(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.executorRuns(daemon.Status{Pid: os.Getpid(), State: daemon.StateRunning, Running: 3, Waiting: 2})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := l.StopEverything(ctx)
		ended <- err
	}()
	for until := time.Now().Add(time.Minute); l.Paused() != PausedStopped || l.braked()[audit.StoppedEverything] != 1; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("no file, or no record of it")
		}
	}
	cancel() // in place of the long wait
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "3 commands still run and 2 wait") || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Errorf("said: %v", err)
	}
}
