package qubes

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"qvmremote/queue"
)

const (
	// KillAfter is how long a qube gets to shut down before it is killed.
	KillAfter = 90 * time.Second

	// powerWait leaves room for a qube that starts others first, and for the
	// end of one that was killed.
	powerWait = 2 * time.Minute
)

// Start starts the qube, and returns when it is up or was so already. That a
// qube is paused changes nothing: to qvm-start it runs.
func (t *Tools) Start(ctx context.Context, vm string) error {
	return t.power(ctx, vm, "qvm-start", "--skip-if-running")
}

// ShutDown shuts the qube down, and returns when it is halted or was so
// already. After [KillAfter] qvm-shutdown kills it.
func (t *Tools) ShutDown(ctx context.Context, vm string) error {
	return t.power(ctx, vm, "qvm-shutdown", "--wait", "--timeout", strconv.Itoa(int(KillAfter/time.Second)))
}

func (t *Tools) power(ctx context.Context, vm, tool string, options ...string) error {
	if !queue.ValidQube(vm) {
		return fmt.Errorf("%s: %w", queue.Quote(vm, 40), ErrNoQube)
	}
	_, err := t.within(ctx, powerWait, tool, append(options, "--", vm)...)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("%w; Qubes OS may go on with it, see: qvm-ls %s", err, vm)
	}
	return err
}
