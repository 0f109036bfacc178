package service_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/dbus/service"
	"qvmremote/test/bus"
)

// TestTheManagerSaysThatItEnds: when the service manager hears it, the name is
// still the manager's. One that heard it later would take the start of the next
// manager for done already, and whoever called would wait in vain.
func TestTheManagerSaysThatItEnds(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	conn := b.Connect(t)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	o := service.Options{Root: paths.Root(t.TempDir()), Address: b.Address, Times: service.DefaultTimes(),
		Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	o.Times.Idle = time.Millisecond
	var said []string
	leaving := func() {
		said = append(said, "ending")
		var owned bool
		if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.NameHasOwner", 0, dbus.Name).Store(&owned); err != nil || !owned {
			t.Errorf("it says that it ends, and the name is owned: %v, %v", owned, err)
		}
	}
	err := service.Manage(ctx, o, func() { said = append(said, "ready") }, leaving)
	if err != nil || ctx.Err() != nil {
		t.Fatalf("it did not end by itself: %v, %v", err, ctx.Err())
	}
	if len(said) != 2 || said[0] != "ready" || said[1] != "ending" {
		t.Errorf("it said %q", said)
	}
}
