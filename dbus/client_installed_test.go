package dbus_test

import (
	"context"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// TestInstalled: a service that runs is there, one that the bus could start is,
// too, and asking does not start it.
func TestInstalled(t *testing.T) {
	t.Parallel()
	none, runs, startable := bus.Start(t), bus.Start(t), bus.Start(t)
	if _, err := runs.Connect(t).RequestName(dbus.Name, godbus.NameFlagDoNotQueue); err != nil {
		t.Fatal(err)
	}
	startable.Activatable(t, dbus.Name, "/bin/false", nil, nil)
	for _, c := range []struct {
		what string
		bus  *bus.Bus
		want bool
	}{{"nobody", none, false}, {"an owner", runs, true}, {"one to start", startable, true}} {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		client, err := dbus.Dial(ctx, c.bus.Address)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		got, err := client.Installed(ctx)
		if got != c.want || err != nil {
			t.Errorf("with %s: %v, %v, want %v", c.what, got, err, c.want)
		}
	}
}
