package service

import (
	"context"
	"errors"
	"testing"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/dbus"
	"qvmremote/test/bus/systemd"
)

// installed gives the bus a systemd whose units are this program's own.
func (w *world) installed() *systemd.Fake {
	f := systemd.Start(w.t, w.bus)
	running := map[string]*process{}
	add := func(unit string, run func(ctx context.Context, ready func()) error) {
		f.Add(unit, systemd.Hooks{Start: func(string) error {
			ready := make(chan struct{})
			p := w.launch(func(ctx context.Context) error { return run(ctx, func() { close(ready) }) })
			running[unit] = p
			go func() {
				<-p.done
				f.SetActive(unit, "inactive")
			}()
			select {
			case <-ready:
				return nil
			case <-p.done:
				return errors.Join(errors.New("it ended"), p.err)
			case <-time.After(patience):
				return errors.New("it is not ready")
			}
		}, Stop: func(string) error {
			running[unit].stop()
			return running[unit].err
		}})
	}
	add(admin.ManageService, func(ctx context.Context, ready func()) error { return Manage(ctx, w.o, ready, func() {}) })
	add(admin.Service, func(ctx context.Context, ready func()) error {
		o := daemonOptions(w.o)
		o.Front = front{o.Front, ready}
		return daemon.Run(ctx, o)
	})
	return f
}

// front tells when the executor is ready.
type front struct {
	daemon.Front
	ready func()
}

func (f front) Ready(x *daemon.Executor) {
	f.Front.Ready(x)
	f.ready()
}

// TestHandOver goes from manager to executor and back, again and again, under a
// client that never ceases to call.
func TestHandOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.installed()
	w.manage()
	owners, stop, c := w.owners(), w.loop(), w.client()
	for range 5 {
		if _, code := c.call("Start"); code != "" {
			t.Fatalf("start: %q", code)
		}
		w.until("the executor runs", func() bool { return c.property("State") == dbus.Running })
		if _, code := c.call("Stop"); code != "" {
			t.Fatalf("stop: %q", code)
		}
		w.until("the executor has stopped", func() bool { return c.property("State") == dbus.Stopped })
		if _, code := c.call("Restart"); code != "" {
			t.Fatalf("restart: %q", code)
		}
		w.until("the executor runs", func() bool { return c.property("State") == dbus.Running })
		if _, code := c.call("Stop"); code != "" {
			t.Fatalf("stop: %q", code)
		}
		w.until("the executor has stopped again", func() bool { return c.property("State") == dbus.Stopped })
	}
	if n := stop(); n == 0 {
		t.Error("nothing was called")
	}
	list := owners()
	if len(list) < 10 {
		t.Errorf("the owners were %q", list)
	}
	for i, o := range list {
		if o == "" {
			t.Errorf("nobody had the name after %d changes of %d", i, len(list))
		}
	}
}
