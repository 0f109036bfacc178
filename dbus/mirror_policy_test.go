package dbus

import (
	"context"
	"errors"
	"testing"

	"qvmremote/test/bus"
)

// The rules of a system bus are about who owns a name, and hold as well for
// what is sent to its owner's unique name, as a mirror does.
const (
	mayOwn = `<policy context="default"><allow own="` + Name + `"/></policy>`
	mayAsk = `<policy context="default"><allow send_destination="` + Name + `"/></policy>`
)

func TestBusPolicyLetsIn(t *testing.T) {
	t.Parallel()
	b := bus.Start(t, bus.Options{System: true, Policy: mayOwn + mayAsk})
	f := newFake(t, b)
	f.has(running, work)
	f.own()
	m := mirror(t, dial(t, b))
	await(t, m, "the state", available)
	f.changes(map[string]any{"State": Paused})
	await(t, m, "a change", func(s Snapshot) bool { return s.Manager.State == Paused })
}

func TestBusPolicyKeepsOut(t *testing.T) {
	t.Parallel()
	b := bus.Start(t, bus.Options{System: true, Policy: mayOwn})
	f := newFake(t, b)
	f.has(running, work)
	f.own()
	c := dial(t, b)
	if err := c.Pause(context.Background()); !errors.Is(err, Err(NotAuthorized)) || err.Error() != deniedText {
		t.Errorf("a call: %v", err)
	}
	if got := await(t, mirror(t, c), "the refusal", is(Forbidden)); got.Why != deniedText {
		t.Errorf("it says %q", got.Why)
	}
}
