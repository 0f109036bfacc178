package admin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/qubes"
	"qvmremote/queue"
)

// systemctlWait covers a start that waits for the unit's READY, and a stop that
// waits for running commands.
const systemctlWait = 150 * time.Second

// Enable starts the executor, now and at each boot.
func (a *Admin) Enable(ctx context.Context) ([]string, error) {
	if err := a.systemctl(ctx, "enable", "--now", Service); err != nil {
		return nil, err
	}
	return a.told(ctx, audit.Record{Event: audit.Enabled, Detail: Service + ": enabled and started"})
}

// Disable stops the executor, now and for future boots.
func (a *Admin) Disable(ctx context.Context) ([]string, error) {
	if err := a.systemctl(ctx, "disable", "--now", Service); err != nil {
		return nil, err
	}
	return a.told(ctx, audit.Record{Event: audit.Disabled, Detail: Service + ": disabled and stopped"})
}

func (a *Admin) told(ctx context.Context, r audit.Record) ([]string, error) {
	warnings, err := a.record(ctx, r)
	if err != nil {
		return warnings, fmt.Errorf("it is done, but could not be recorded: %w", err)
	}
	return warnings, nil
}

func (a *Admin) systemctl(ctx context.Context, args ...string) error {
	path, err := qubes.Tool(a.Root, "systemctl")
	if errors.Is(err, exec.ErrNotFound) {
		return errors.New("cannot find systemctl in PATH")
	}
	if err != nil {
		return err
	}
	_, err = qubes.Output(ctx, systemctlWait, path, args...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return fmt.Errorf("systemctl %s did not do it (exit code %d); see: systemctl status %s: %w",
			strings.Join(args, " "), exit.ExitCode(), Service, err)
	}
	return err
}

// Autostart is systemd's word for whether the executor starts at boot, such as
// "enabled" or "disabled"; "" where that cannot be told.
func (a *Admin) Autostart(ctx context.Context) string {
	path, err := qubes.Tool(a.Root, "systemctl")
	if err != nil {
		return ""
	}
	out, err := qubes.Output(ctx, qubes.DefaultTimeout, path, "show", "--property=UnitFileState", "--value", Service)
	if err != nil {
		return ""
	}
	return queue.Escape(strings.TrimSpace(string(out)), 40)
}
