package admin

import (
	"context"
	"errors"
	"fmt"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/systemd"
	"qvmremote/queue"
)

// Start starts the executor and waits until it is ready. Start, Stop and
// Restart leave no record of their own: the executor records its life itself.
// With no systemd, here and below, the error is systemd.ErrNone.
func (a *Admin) Start(ctx context.Context) error { return a.Units.Start(ctx, Service) }

// Stop stops the executor. With wait it returns when the executor has ended,
// without it when systemd has promised to end it. To systemd, stopping a unit
// that does not run is done at once: an executor that something else started is
// an error here, for it goes on.
func (a *Admin) Stop(ctx context.Context, wait bool) error {
	if err := a.Units.Stop(ctx, Service, wait); err != nil {
		return err
	}
	pid, running := a.Executor()
	if !running {
		return nil
	}
	switch state, err := a.Units.Active(ctx, Service); {
	case err != nil:
		return err
	case state == "inactive" || state == "failed":
		return fmt.Errorf("the daemon still runs, for systemd did not start it; end it with: kill %d", pid)
	}
	return nil
}

// Restart stops the executor where it runs, and starts it. For wait see [Admin.Stop].
func (a *Admin) Restart(ctx context.Context, wait bool) error {
	return a.Units.Restart(ctx, Service, wait)
}

// StartManager starts what answers on the bus in the executor's place, and
// waits until it queues for the name or has it.
func (a *Admin) StartManager(ctx context.Context) error { return a.Units.Start(ctx, ManageService) }

// EnableAtBoot makes the executor start at each boot; it starts nothing now.
func (a *Admin) EnableAtBoot(ctx context.Context) (warnings []string, err error) {
	if err := a.Units.Enable(ctx, Service); err != nil {
		return nil, err
	}
	return a.told(ctx, audit.Record{Event: audit.Enabled, Detail: Service + ": starts at boot"})
}

// DisableAtBoot makes the executor no longer start at boot; it stops nothing now.
func (a *Admin) DisableAtBoot(ctx context.Context) (warnings []string, err error) {
	if err := a.Units.Disable(ctx, Service); err != nil {
		return nil, err
	}
	return a.told(ctx, audit.Record{Event: audit.Disabled, Detail: Service + ": does not start at boot"})
}

// ErrOnlyAtBoot is how Enable fails by half.
var ErrOnlyAtBoot = errors.New("it starts at each boot from now on, but not now")

// Enable starts the executor, now and at each boot.
func (a *Admin) Enable(ctx context.Context) (warnings []string, err error) {
	if warnings, err = a.EnableAtBoot(ctx); err != nil {
		return warnings, err
	}
	if err = a.Start(ctx); err != nil {
		err = fmt.Errorf("%w: %w", ErrOnlyAtBoot, err)
	}
	return warnings, err
}

// Disable stops the executor, now and for future boots. It is stopped even
// where its boot state cannot be changed.
func (a *Admin) Disable(ctx context.Context) (warnings []string, err error) {
	warnings, err = a.DisableAtBoot(ctx)
	if errors.Is(err, systemd.ErrNone) {
		return warnings, err
	}
	if stop := a.Stop(ctx, true); stop != nil {
		err = errors.Join(err, fmt.Errorf("the daemon was not stopped: %w", stop))
	}
	return warnings, err
}

func (a *Admin) told(ctx context.Context, r audit.Record) ([]string, error) {
	warnings, err := a.record(ctx, r)
	if err != nil {
		return warnings, fmt.Errorf("it is done, but could not be recorded: %w", err)
	}
	return warnings, nil
}

// Autostart is systemd's word for whether the executor starts at boot, such as
// "enabled" or "disabled"; "" where that cannot be told.
func (a *Admin) Autostart(ctx context.Context) string {
	word, err := a.Units.Enabled(ctx, Service)
	if err != nil {
		return ""
	}
	return queue.Escape(word, 40)
}
