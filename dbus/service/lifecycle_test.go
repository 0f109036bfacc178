package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/daemon/settings"
	"qvmremote/dbus"
)

// owners tells who had the name, one after the other, "" for nobody.
func (w *world) owners() (list func() []string) {
	w.t.Helper()
	conn := w.bus.Connect(w.t)
	seen := make(chan *godbus.Signal, 10000)
	conn.Signal(seen)
	must(w.t, conn.AddMatchSignal(godbus.WithMatchSender("org.freedesktop.DBus"), godbus.WithMatchMember("NameOwnerChanged"), godbus.WithMatchArg(0, dbus.Name)))
	return func() (names []string) {
		w.t.Helper()
		must(w.t, conn.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err) // what was before has come
		for {
			select {
			case s := <-seen:
				if len(s.Body) == 3 {
					names = append(names, s.Body[2].(string))
				}
			default:
				return names
			}
		}
	}
}

// waiting are who has the name and who waits for it.
func (w *world) waiting(conn *godbus.Conn) int {
	var names []string
	if conn.BusObject().Call("org.freedesktop.DBus.ListQueuedOwners", 0, dbus.Name).Store(&names) != nil {
		return 0
	}
	return len(names)
}

// loop calls again and again until it is stopped; then it tells how often.
func (w *world) loop() (stop func() int) {
	c := w.client()
	end, n := make(chan struct{}), make(chan int)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-end:
				n <- i
				return
			default:
			}
			if _, code := c.call("ListQubes"); code != "" {
				w.t.Errorf("call %d: %q", i, code)
				<-end
				n <- i
				return
			}
		}
	}()
	return func() int {
		close(end)
		return <-n
	}
}

// TestStopDuringACall: the call is answered by the executor that was asked.
func TestStopDuringACall(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.Times.Key = 5 * time.Second
	p := w.execute()
	c := w.client()
	r, wr := pipes(t)
	got := make(chan string, 1)
	go func() {
		_, code := c.call("AuthorizeQube", "work", descriptor(r), none)
		got <- code
	}()
	owner := w.client()
	owners := w.owners()
	w.until("the call is being worked on", func() bool { return copiesOf(t, r) > 2 })
	p.end()
	w.until("the name is given back", func() bool { return w.waiting(owner.conn) == 0 })
	_, err := wr.WriteString(goodKey)
	must(t, err)
	must(t, wr.Close())
	if code := <-got; code != "" {
		t.Errorf("the call's answer is %q", code)
	}
	p.wait()
	if list := owners(); len(list) != 1 {
		t.Errorf("the owners were %q", list)
	}
}

// TestStartThatFails: the manager answers again, also who waited meanwhile.
func TestStartThatFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.manage()
	c, owners := w.client(), w.owners()
	must(t, os.WriteFile(w.root.Config(), []byte("this is no setting\n"), 0o600))
	locked, fail := make(chan struct{}), make(chan struct{})
	p := w.launch(func(ctx context.Context) error {
		o := daemonOptions(w.o)
		o.Front = &failing{o.Front, locked, fail}
		return daemon.Run(ctx, o)
	})
	<-locked
	got := make(chan any, 1)
	go func() { got <- c.property("State") }()
	must(t, c.conn.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err)
	select {
	case s := <-got:
		t.Errorf("answered %q by an executor that does not know yet", s)
	case <-time.After(50 * time.Millisecond): // nothing can be awaited but that nothing comes
	}
	close(fail)
	p.wait()
	if !errors.Is(p.err, settings.ErrBroken) {
		t.Errorf("the start ended with %v", p.err)
	}
	if s := <-got; s != dbus.Stopping && s != dbus.Stopped {
		t.Errorf("who waited was told %q", s)
	}
	if s := c.property("State"); s != dbus.Stopped {
		t.Errorf("the manager says %q", s)
	}
	for _, o := range owners() {
		if o == "" {
			t.Error("nobody had the name")
		}
	}
}

// failing waits with the lock and the name for what comes next, which fails.
type failing struct {
	daemon.Front
	locked, fail chan struct{}
}

func (f *failing) Locked(ctx context.Context) error {
	if err := f.Front.Locked(ctx); err != nil {
		return err
	}
	close(f.locked)
	<-f.fail
	return nil
}

// TestActivationWhileTheExecutorStarts: the call that had a manager started is
// answered, and the executor has the name in the end.
func TestActivationWhileTheExecutorStarts(t *testing.T) {
	t.Parallel()
	for i := range 5 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.activatable()
			c := w.client()
			p := w.launch(func(ctx context.Context) error { return daemon.Run(ctx, daemonOptions(w.o)) })
			for range 3 {
				if _, code := c.call("ListQubes"); code != "" {
					t.Errorf("the answer is %q", code)
				}
			}
			w.until("the executor runs", func() bool { return c.property("State") == dbus.Running })
			p.stop()
			if p.err != nil {
				t.Error(p.err)
			}
			w.until("a manager answers", func() bool { return c.property("State") == dbus.Stopped })
		})
	}
}

// TestIdleExit: who calls just when the manager ends is answered, by it or by
// the next one.
func TestIdleExit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.activatable(idleVar + "=15ms")
	c, owners := w.client(), w.owners()
	for i := range 40 {
		if _, code := c.call("ListQubes"); code != "" {
			t.Fatalf("call %d: %q", i, code)
		}
		time.Sleep(time.Duration(i) * time.Millisecond) // from long before the manager's end to after it
	}
	ends := 0
	for _, o := range owners() {
		if o == "" {
			ends++
		}
	}
	if ends < 2 {
		t.Errorf("the manager ended %d times only", ends)
	}
}

// TestSubscribersKeepTheManager, also through an executor's life.
func TestSubscribersKeepTheManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.Times.Idle = 100 * time.Millisecond
	c := w.client()
	p := w.manageFor(c)
	x := w.execute()
	w.until("the manager waits for the name", func() bool { return w.waiting(c.conn) == 2 })
	x.stop()
	if s := c.property("State"); s != dbus.Stopped {
		t.Errorf("the manager says %q", s)
	}
	if _, code := c.call("Unsubscribe"); code != "" {
		t.Fatal(code)
	}
	p.wait()
	if p.err != nil {
		t.Error(p.err)
	}
}

// TestTheExecutorDies without a word: the manager that waits has the name at
// once, and says so.
func TestTheExecutorDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.manage()
	c, owners := w.client(), w.owners()
	if _, code := c.call("Subscribe"); code != "" {
		t.Fatal(code)
	}
	x := w.program("executor")
	w.until("the executor runs", func() bool { return c.property("State") == dbus.Running })
	stop := w.loopUntilDeath()
	must(t, x.Process.Signal(syscall.SIGKILL))
	w.until("the manager answers", func() bool { return c.property("State") == dbus.Stopped })
	if failed := stop(); failed > 1 {
		t.Errorf("%d calls failed; only the one that the dead had may", failed)
	}
	for _, o := range owners() {
		if o == "" {
			t.Error("nobody had the name")
		}
	}
	if now := c.property("Pid"); now != uint32(0) {
		t.Errorf("the dead executor's process is %v", now)
	}
}

// loopUntilDeath is loop where calls may be lost; it counts these.
func (w *world) loopUntilDeath() (stop func() int64) {
	c := w.client()
	var failed, ended atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ended.Load() == 0 {
			if _, code := c.call("ListQubes"); code != "" {
				failed.Add(1)
			}
		}
	}()
	return func() int64 {
		ended.Store(1)
		<-done
		return failed.Load()
	}
}

// TestNoClientStartsTheExecutor: asking, subscribing and watching start the
// manager and nothing else.
func TestNoClientStartsTheExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.installed()
	w.activatable()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := dbus.Dial(ctx, w.bus.Address)
	must(t, err)
	defer c.Close()
	raw := w.client()
	for _, m := range []string{"Subscribe", "ListQubes", "AvailableQubes", "ListCommands", "Doctor", "Reload"} {
		if _, code := raw.call(m); code != "" {
			t.Errorf("%s: %q", m, code)
		}
	}
	m, err := c.ReadManager(ctx)
	must(t, err)
	if m.State != dbus.Stopped || f.Active(admin.Service) == "active" {
		t.Errorf("the executor is %s, %s", m.State, f.Active(admin.Service))
	}
	if _, err := os.Stat(w.root.ExecutorLock()); err == nil {
		if _, running := admin.New(w.root, w.o.Environ, "root", "dbus").Executor(); running {
			t.Error("an executor runs")
		}
	}
}

// TestTheBusIsRestarted: the executor goes on without it, and is there again
// with it; what a caller had asked for ends, and nothing is left open.
func TestTheBusIsRestarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.execute()
	for range 3 {
		c := w.client()
		r, _ := pipes(t)
		c.conn.Send(call("AuthorizeQube", "work", descriptor(r), none), make(chan *godbus.Call, 1))
		w.until("the call is being worked on", func() bool { return copiesOf(t, r) > 2 })
		w.bus.Stop()
		w.until("the call was given up", func() bool { return copiesOf(t, r) == 2 })
		select {
		case <-p.done:
			t.Fatalf("the executor ended with the bus: %v", p.err)
		default:
		}
		w.bus.Start(t)
		again := w.client()
		w.until("the executor is back", func() bool { return again.property("State") == dbus.Running })
	}
	p.stop()
	if p.err != nil {
		t.Error(p.err)
	}
}

// TestTheBusEndsWithAManager: it ends too, for there is nobody to answer.
func TestTheBusEndsWithAManager(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.manage()
	w.bus.Stop()
	p.wait()
	if p.err != nil {
		t.Error(p.err)
	}
}

// TestLeavingIsToldFirst: whoever starts managers hears that this one ends
// while it still has the name.
func TestLeavingIsToldFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.Times.Idle = 20 * time.Millisecond
	c, then := w.client(), -1
	p := w.launch(func(ctx context.Context) error {
		return Manage(ctx, w.o, func() {}, func() { then = w.waiting(c.conn) })
	})
	p.wait()
	if now := w.waiting(c.conn); p.err != nil || then != 1 || now != 0 {
		t.Errorf("%d had the name when it was told, %d when it had ended: %v", then, now, p.err)
	}
}
