package systemd_test

import (
	"context"
	"testing"

	"qvmremote/daemon/systemd"
	"qvmremote/test/bus"
	fake "qvmremote/test/bus/systemd"
)

// watched is a watch of thing.
type watched struct {
	*world
	changes chan struct{} // at most one waits
	ended   chan error
}

func watch(w *world) *watched {
	w.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	x := &watched{w, make(chan struct{}, 1), make(chan error, 1)}
	go func() {
		x.ended <- w.units.Watch(ctx, thing, func() {
			select {
			case x.changes <- struct{}{}:
			default:
			}
		})
	}()
	w.Cleanup(cancel)
	x.await("the beginning", func() bool { return true })
	return x
}

// await looks after each change until true.
func (x *watched) await(what string, is func() bool) {
	x.Helper()
	for {
		select {
		case <-x.changes:
			if is() {
				return
			}
		case err := <-x.ended:
			x.Fatalf("%s: the watch ended: %v", what, err)
		case <-x.ctx.Done():
			x.Fatalf("%s went unseen", what)
		}
	}
}

func (x *watched) enabled() bool {
	word, err := x.units.Enabled(x.ctx, thing)
	return err == nil && word == "enabled"
}

func (x *watched) active() bool {
	state, err := x.units.Active(x.ctx, thing)
	return err == nil && state == "active"
}

func TestWatchSeesChanges(t *testing.T) {
	x := watch(newWorld(t, fake.Hooks{}))
	if !x.fake.Subscribed() {
		t.Error("systemd was not asked for signals")
	}
	x.fake.SetEnabled(thing, "enabled")
	x.await("enabled", x.enabled)
	x.fake.SetEnabled(thing, "masked")
	x.await("masked", func() bool { return !x.enabled() })
	x.must(x.units.Start(x.ctx, thing))
	x.await("started", x.active)
	x.fake.SetActive(thing, "failed")
	x.await("crashed", func() bool { return !x.active() })
}

func TestWatchOutlivesSystemd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b := bus.Start(t)
	first := b.Connect(t)
	w := &world{T: t, bus: b, fake: fake.Serve(t, first), units: systemd.New(b.Address, true), ctx: ctx}
	w.fake.Add(thing, fake.Hooks{})
	x := watch(w)
	first.Close()
	x.await("systemd's end", func() bool { return true })
	w.fake = fake.Start(t, b) // as when PID 1 executes itself anew
	w.fake.Add(thing, fake.Hooks{})
	x.await("its return", func() bool { return w.fake.Subscribed() })
	w.fake.SetEnabled(thing, "enabled")
	x.await("enabled", x.enabled)
}

func TestWatchEndsWithTheBus(t *testing.T) {
	x := watch(newWorld(t, fake.Hooks{}))
	x.bus.Stop()
	select {
	case err := <-x.ended:
		if err == nil {
			t.Error("a watch that sees nothing more says all is well")
		}
	case <-x.ctx.Done():
		t.Error("the watch goes on without a bus")
	}
}
