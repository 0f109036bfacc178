package daemon

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// watcher is a Front that keeps what it is told.
type watcher struct {
	mu      sync.Mutex
	told    []string
	x       chan *Executor
	changes atomic.Int64
	locked  func() error
	closed  func()
}

func newWatcher() *watcher { return &watcher{x: make(chan *Executor, 1)} }

func (f *watcher) say(word string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.told = append(f.told, word)
}

func (f *watcher) heard() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.told)
}

func (f *watcher) Locked(context.Context) error {
	f.say("locked")
	if f.locked != nil {
		return f.locked()
	}
	return nil
}

func (f *watcher) Ready(x *Executor) {
	f.say("ready")
	f.x <- x
}

func (f *watcher) Stopping() { f.say("stopping") }

func (f *watcher) Closed(context.Context) {
	f.say("closed")
	if f.closed != nil {
		f.closed()
	}
}

func (f *watcher) Changed() { f.changes.Add(1) }

// observed starts the daemon and returns it once it is ready.
func (w *world) observed() (x *Executor, f *watcher, stop func() error) {
	w.t.Helper()
	f = newWatcher()
	w.o.Front = f
	stop = w.start()
	select {
	case x = <-f.x:
	case <-time.After(time.Minute):
		w.t.Fatal("the daemon does not get ready")
	}
	return x, f, stop
}

func TestFrontHearsAWholeLife(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	x, f, stop := w.observed()
	before := f.changes.Load()
	q.result("a", q.submit("a", "true\n"))
	w.eventually("the front hears of changes", func() bool { return f.changes.Load() > before })
	if s := x.Snapshot(); s.State != StateRunning || s.Pid != os.Getpid() || len(s.Qubes) != 1 {
		t.Errorf("%+v", s)
	}
	f.closed = func() {
		lock, err := lockExecutor(context.Background(), string(w.o.Root.ExecutorLock()))
		if err != nil {
			t.Errorf("closed, and the lock is still held: %v", err)
			return
		}
		_ = lock.Close()
		if s := x.Snapshot(); s.State != StateStopping {
			t.Errorf("closed, in state %q", s.State)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if told := f.heard(); !slices.Equal(told, []string{"locked", "ready", "stopping", "closed"}) {
		t.Errorf("told: %q", told)
	}
}

func TestFrontMayRefuseTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := newWatcher()
	no := errors.New("the name is taken")
	f.locked = func() error { return no }
	w.o.Front = f
	if err := Run(t.Context(), w.o); !errors.Is(err, no) {
		t.Errorf("the start ended with %v", err)
	}
	if told := f.heard(); !slices.Equal(told, []string{"locked"}) || len(w.records()) != 0 {
		t.Errorf("told: %q, and %d records", told, len(w.records()))
	}
}

func TestFrontHearsOfAStartThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_MAX_TIMEOUT=never")
	f := newWatcher()
	w.o.Front = f
	if err := Run(t.Context(), w.o); err == nil {
		t.Error("started with broken settings")
	}
	if told := f.heard(); !slices.Equal(told, []string{"locked", "closed"}) {
		t.Errorf("told: %q", told)
	}
}

func TestAPersonInDom0CancelsACommand(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_CONCURRENT=1", "QVM_REMOTE_PER_QUBE=1")
	x, _, _ := w.observed()
	h := q.submit("a", "echo begun; sleep 600 & wait\n")
	w.eventually("a runs", func() bool { return len(x.Commands()) == 1 && !x.Commands()[0].StartedAt.IsZero() })
	h2 := q.submit("b", "true\n")
	w.eventually("b waits", func() bool { s := x.Snapshot(); return s.Running == 1 && s.Waiting == 1 })
	for _, c := range slices.Backward(x.Commands()) {
		if c.Qube != q.name || c.Since.IsZero() || c.ID == "a" && c.State != CommandRunning || c.ID == "b" && c.State != CommandWaiting {
			t.Errorf("listed: %+v", c)
		}
		if err := x.CancelNumber(t.Context(), c.Number, "alice", "dbus"); err != nil {
			t.Errorf("cancelling %s: %v", c.ID, err)
		}
	}
	for id, header := range map[string][]byte{"a": h, "b": h2} {
		if r := q.result(id, header); r.State != queue.StateCancelled || r.Exit != queue.ExitCancelled || (r.Started != 0) != (id == "a") {
			t.Errorf("%s: %+v", id, r)
		}
	}
	for _, r := range w.records() {
		if r.Event == audit.Final && (r.Who != "alice" || r.Way != "dbus" || r.Detail != "cancelled in dom0") {
			t.Errorf("recorded: %+v", r)
		}
		if r.Event == audit.Final {
			if err := x.CancelNumber(t.Context(), r.Number, "alice", "dbus"); !errors.Is(err, ErrNoCommand) {
				t.Errorf("cancelled once more: %v", err)
			}
		}
	}
	if err := x.CancelNumber(t.Context(), 4711, "alice", "dbus"); !errors.Is(err, ErrNoCommand) {
		t.Errorf("a number that never was: %v", err)
	}
	if r := q.result("c", q.submit("c", "true\n")); r.State != queue.StateExit {
		t.Errorf("the next one: %+v", r)
	}
}

// TestReloadTellsWhatIsWrong: whoever asks hears it, and the last good settings
// stay.
func TestReloadTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	x, _, stop := w.observed()
	set := func(text string) {
		if err := os.WriteFile(w.o.Root.Config(), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	set("QVM_REMOTE_MAX_TIMEOUT=77\n")
	if err := x.Reload(t.Context()); err != nil || x.settings().MaxTimeout != 77 {
		t.Errorf("good settings: %v, %d", err, x.settings().MaxTimeout)
	}
	set("QVM_REMOTE_MAX_TIMEOUT=often\n")
	if err := x.Reload(t.Context()); err == nil || x.settings().MaxTimeout != 77 {
		t.Errorf("broken settings: %v, %d", err, x.settings().MaxTimeout)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := x.Reload(t.Context()); !errors.Is(err, errStopping) {
		t.Errorf("of a daemon that stopped: %v", err)
	}
}
