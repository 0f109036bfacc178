package e2e

import (
	"context"
	"errors"
	"testing"

	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// TestWithoutSystemd: where nothing could start a service, that is said by
// name, and all else works.
func TestWithoutSystemd(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	i := &installed{house: h, bus: bus.Start(t)}
	cmd := h.Dom0Command(context.Background(), programs.dom0, "--root", h.Dom0())
	cmd.Env = append(cmd.Env, paths.BusVar+"="+i.bus.Address)
	h.launch(cmd)
	ctx, c := context.Background(), i.client()
	await(t, "the executor is on the bus", func() bool {
		there, err := c.Present(ctx)
		return err == nil && there
	})
	h.of("work").works()
	m, err := c.ReadManager(ctx)
	must(t, err)
	if m.StartsAtBoot || m.State != dbus.Running {
		t.Errorf("it says %+v", m)
	}
	for name, call := range map[string]func(context.Context) error{
		"Stop": c.Stop, "Restart": c.Restart, "DisableAtBoot": c.DisableAtBoot,
		"EnableAtBoot": func(ctx context.Context) error { return c.EnableAtBoot(ctx, true) },
	} {
		if err := call(ctx); !errors.Is(err, dbus.Err(dbus.NoSystemd)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := c.EnableAtBoot(ctx, false); !errors.Is(err, dbus.Err(dbus.RiskNotAccepted)) {
		t.Errorf("a risk that nobody accepted: %v", err)
	}
	must(t, c.Pause(ctx))
	must(t, c.Resume(ctx))
	h.of("work").works()
}
