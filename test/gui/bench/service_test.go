package main

import (
	"testing"

	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// TestTheFloodIsOfThisVersion: the service that is played has every property that
// the program asks of one.
func TestTheFloodIsOfThisVersion(t *testing.T) {
	t.Parallel()
	b, err := bus.New(bus.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	f, err := serveFlood(b)
	if err != nil {
		t.Fatal(err)
	}
	defer f.conn.Close()
	c, err := dbus.Dial(t.Context(), b.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, qubes, err := c.Status(t.Context()); err != nil || len(qubes) != 1 {
		t.Errorf("%d qubes: %v", len(qubes), err)
	}
}
