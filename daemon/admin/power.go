package admin

import (
	"context"

	"qvmremote/daemon/qubes"
)

// StartQube starts a qube and returns when it runs; one that does already is
// fine. A paused one is refused: letting it go on is another decision. There is
// no record of it: the qube's state is Qubes OS's, which has other ways to it.
func (a *Admin) StartQube(ctx context.Context, vm string) error {
	state, err := a.movable(ctx, vm)
	if err != nil || state == qubes.Running {
		return err
	}
	return a.Tools.Start(ctx, vm)
}

// ShutDownQube shuts a qube down and returns when it is halted; one that is so
// already is fine. A paused one is refused: it cannot shut down, and would be
// killed.
func (a *Admin) ShutDownQube(ctx context.Context, vm string) error {
	state, err := a.movable(ctx, vm)
	if err != nil || state == qubes.Halted {
		return err
	}
	return a.Tools.ShutDown(ctx, vm)
}

// movable is the state of a qube that may be started or shut down.
func (a *Admin) movable(ctx context.Context, vm string) (qubes.State, error) {
	state, err := a.state(ctx, vm)
	if err == nil && state == qubes.Paused {
		err = paused(vm)
	}
	return state, err
}
