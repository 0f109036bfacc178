package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/queue"
)

func touch(t *testing.T, path string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// askedAgain waits until dom0 asked a few more times what the qube has.
func (q *testQube) askedAgain() {
	q.t.Helper()
	q.mu.Lock()
	enough := q.asked[queue.FrameWait] + 3
	q.mu.Unlock()
	q.until("dom0 asks again", func() bool { return q.asked[queue.FrameWait] >= enough })
}

func TestAPausedDaemonTakesNothingNew(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	x, _, _ := w.observed()
	running, release := w.holds(q)
	waiting := q.submit("waiting", "true\n")
	w.eventually("the second waits for its turn", func() bool { return x.Snapshot().Waiting == 1 })
	touch(t, w.o.Root.Pause())
	w.eventually("paused", func() bool { return x.Snapshot().State == StatePaused })
	late := q.submit("late", "true\n")
	gone := q.header("taken-back", "true\n", nil)
	q.cancel("taken-back", gone, q.key)
	touch(t, release)
	if a, b := q.result("running", running), q.result("waiting", waiting); a.State != queue.StateExit || b.State != queue.StateExit {
		t.Errorf("what was taken before ended with %+v, %+v", a, b)
	}
	q.askedAgain()
	if n, m := w.count(audit.Claim, "late"), w.count(audit.Claim, "taken-back"); n != 0 || m != 0 {
		t.Errorf("while paused, %d requests and %d cancels were claimed", n, m)
	}
	remove(t, w.o.Root.Pause())
	if r := q.result("late", late); r.State != queue.StateExit {
		t.Errorf("after the pause: %+v", r)
	}
	if r := q.result("taken-back", gone); r.State != queue.StateCancelled {
		t.Errorf("the cancel, after the pause: %+v", r)
	}
	if s := x.Snapshot(); s.State != StateRunning || s.StoppedEverything {
		t.Errorf("after the pause: %+v", s)
	}
}

func TestTheStopFileEndsEverything(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	x, _, stop := w.observed()
	running := q.submit("running", "echo begun; touch ran; sleep 600 & sleep 600\n")
	w.eventually("the first runs", func() bool {
		_, err := os.Stat(filepath.Join(w.o.Root.Home(), "ran"))
		return err == nil && x.Snapshot().Running == 1
	})
	waiting := q.submit("waiting", "touch must-not\n")
	w.eventually("the second waits for its turn", func() bool { return x.Snapshot().Waiting == 1 })
	touch(t, w.o.Root.Stop())
	if r := q.result("running", running); r.State != queue.StateInterrupted || r.Exit != queue.ExitInterrupted || r.Started == 0 {
		t.Errorf("what ran: %+v", r)
	}
	if r := q.result("waiting", waiting); r.State != queue.StateDenied || r.Reason != queue.NotReady || r.Started != 0 {
		t.Errorf("what waited: %+v", r)
	}
	for _, r := range w.records() {
		if r.Event == audit.Final && r.Detail != "everything was stopped in dom0" {
			t.Errorf("recorded: %+v", r)
		}
	}
	late := q.submit("late", "true\n")
	q.askedAgain()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	x, _, _ = w.observed()
	q.askedAgain()
	if s := x.Snapshot(); s.State != StatePaused || !s.StoppedEverything || w.count(audit.Claim, "late") != 0 {
		t.Errorf("after a restart: %+v, claimed %d", s, w.count(audit.Claim, "late"))
	}
	remove(t, w.o.Root.Stop())
	if r := q.result("late", late); r.State != queue.StateExit {
		t.Errorf("after that: %+v", r)
	}
	if _, err := os.Stat(filepath.Join(w.o.Root.Home(), "must-not")); err == nil {
		t.Error("what waited ran after all")
	}
}

// TestStoppedBetweenClaimAndStart: the file comes when the claim is written and
// the script is being read.
func TestStoppedBetweenClaimAndStart(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	q.refuse = func(m queue.Message) *queue.Failure {
		if f, ok := m.(*queue.Fetch); ok && f.Part == queue.PartBody {
			touch(t, w.o.Root.Stop())
		}
		return nil
	}
	w.start()
	if r := q.result("a", q.submit("a", "touch must-not\n")); r.State != queue.StateDenied || r.Reason != queue.NotReady {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Claim, "a") != 1 {
		t.Error("it was never claimed")
	}
	if _, err := os.Stat(filepath.Join(w.o.Root.Home(), "must-not")); err == nil {
		t.Error("it ran")
	}
}

// TestAnythingOfThatNameCounts: in an emergency nobody should have to know what
// the file must look like.
func TestAnythingOfThatNameCounts(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"folder":        func(path string) error { return os.Mkdir(path, 0o700) },
		"dangling link": func(path string) error { return os.Symlink("nowhere", path) },
		"not readable":  func(path string) error { return os.WriteFile(path, nil, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := pausable(t, t.TempDir())
			if x.paused() || x.stopped() {
				t.Error("paused or stopped without a file")
			}
			if err := put(x.o.Root.Pause()); err != nil || !x.paused() || x.stopped() {
				t.Errorf("pause: %v, paused %v, stopped %v", err, x.paused(), x.stopped())
			}
			if err := put(x.o.Root.Stop()); err != nil || !x.stopped() {
				t.Errorf("stop: %v, stopped %v", err, x.stopped())
			}
		})
	}
}

// TestWhatCannotBeSeenPauses: nothing new is taken, and nothing is killed, while
// nobody can tell what is asked for.
func TestWhatCannotBeSeenPauses(t *testing.T) {
	t.Parallel()
	x := pausable(t, t.TempDir())
	run := x.o.Root.Run()
	if err := os.RemoveAll(run); err != nil {
		t.Fatal(err)
	}
	touch(t, run) // a file: what is below it cannot be asked for
	if !x.paused() || x.stopped() {
		t.Errorf("paused %v, stopped %v", x.paused(), x.stopped())
	}
	if h := x.status.warnings[healthPause]; !strings.Contains(h, "nothing new is taken") {
		t.Errorf("health says %q", h)
	}
	remove(t, run)
	touch(t, x.o.Root.Stop())
	if !x.stopped() || len(x.status.warnings) != 0 {
		t.Errorf("seen again: stopped %v, %q", x.stopped(), x.status.warnings)
	}
}

// pausable is as much of an executor as looks at the files.
func pausable(t *testing.T, dir string) *Executor {
	t.Helper()
	w := newWorld(t)
	w.o.Root = paths.Root(dir)
	x := &Executor{o: w.o}
	x.status = newStatus(x)
	if err := errors.Join(x.makeFolders(), x.openApprovals()); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestPausedWhileTheHeaderIsRead: the file is there before the claim, so there
// is none.
func TestPausedWhileTheHeaderIsRead(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	read := make(chan struct{})
	var once sync.Once
	q.refuse = func(m queue.Message) *queue.Failure {
		if f, ok := m.(*queue.Fetch); ok && f.Part == queue.PartHeader {
			once.Do(func() {
				touch(t, w.o.Root.Pause())
				close(read)
			})
		}
		return nil
	}
	w.start()
	h := q.submit("a", "true\n")
	<-read
	q.askedAgain()
	if w.count(audit.Claim, "") != 0 || w.spooled() != 0 {
		t.Errorf("%d claims, %d in the spool", w.count(audit.Claim, ""), w.spooled())
	}
	remove(t, w.o.Root.Pause())
	if r := q.result("a", h); r.State != queue.StateExit {
		t.Errorf("after the pause: %+v", r)
	}
}

// TestAStopIsSeenRightBeforeTheStart: nothing but the file itself says so.
func TestAStopIsSeenRightBeforeTheStart(t *testing.T) {
	t.Parallel()
	x := pausable(t, t.TempDir())
	touch(t, x.o.Root.Stop())
	r := &request{q: newQube(x, "work")}
	if err := r.mayStart(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("the shell may start: %v", err)
	}
}
