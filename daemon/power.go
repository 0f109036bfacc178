package daemon

import (
	"context"
	"errors"

	"qvmremote/daemon/qubes"
)

// followPower has qubes looked at as soon as qubesd tells of a change, and not
// asked about while it tells of none. Where it cannot be followed, they are
// asked about every Times.Power, as they are until it is.
func (x *Executor) followPower(ctx context.Context) {
	x.tools.Changes(ctx, x.powerChanged)
	x.loops.Add(1)
	go func() {
		defer x.loops.Done()
		x.tools.Follow(ctx, x.o.Times.Events, x.powerFollowed)
	}()
}

// powerChanged wakes the qube of that name, or all.
func (x *Executor) powerChanged(name string) {
	for _, q := range x.all() {
		if name == "" || q.name == name {
			q.wake()
		}
	}
}

// powerFollowed tells how dom0 learns of power states from now on. That there
// is no socket is no trouble, but for people who wonder.
func (x *Executor) powerFollowed(err error) {
	switch {
	case err == nil:
		x.info("the qubes' power states are followed")
	case errors.Is(err, qubes.ErrNoEvents):
		x.info("the qubes' power states are asked for", "why", err)
		err = nil
	}
	x.complain(healthEvents, "the qubes' power states are asked for, not followed", err)
}

// Tools are what the executor asks for qubes with, so that whoever asks beside
// it shares its answers. It may be called once Front.Ready was called.
func (x *Executor) Tools() *qubes.Tools { return x.tools }
