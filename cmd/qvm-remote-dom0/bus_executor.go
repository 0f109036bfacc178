package main

import (
	"context"
	"fmt"

	"qvmremote/dbus"
)

func (b *overBus) Enable(ctx context.Context) ([]string, error) {
	if err := b.c.EnableAtBoot(ctx, true); err != nil {
		return nil, err
	}
	if err := b.c.Start(ctx); err != nil {
		return nil, fmt.Errorf("it starts at each boot from now on, but not now: %w", err)
	}
	return nil, nil
}

// Disable stops the executor also where its boot state cannot be changed.
func (b *overBus) Disable(ctx context.Context) ([]string, error) {
	err := b.c.DisableAtBoot(ctx)
	if stopped := b.Stop(ctx); stopped != nil && err == nil {
		err = fmt.Errorf("the daemon was not stopped: %w", stopped)
	}
	return nil, err
}

func (b *overBus) Start(ctx context.Context) error { return b.c.Start(ctx) }

func (b *overBus) Stop(ctx context.Context) error {
	if err := b.c.Stop(ctx); err != nil {
		return err
	}
	return b.settled(ctx, "the daemon was told to stop", func(m dbus.Manager) bool { return m.State == dbus.Stopped })
}

func (b *overBus) Restart(ctx context.Context) error {
	before, err := b.c.ReadManager(ctx)
	if err == nil {
		err = b.c.Restart(ctx)
	}
	if err != nil {
		return err
	}
	return b.settled(ctx, "the daemon was told to restart", func(m dbus.Manager) bool {
		return m.Pid != 0 && m.Pid != before.Pid && (m.State == dbus.Running || m.State == dbus.Paused)
	})
}

func (b *overBus) Pause(ctx context.Context) ([]string, error) { return nil, b.c.Pause(ctx) }

// Resume cannot tell a pause that nothing runs in from none.
func (b *overBus) Resume(ctx context.Context) (bool, []string, error) {
	m, err := b.c.ReadManager(ctx)
	if err == nil {
		err = b.c.Resume(ctx)
	}
	return m.State != dbus.Running, nil, err
}

func (b *overBus) StopEverything(ctx context.Context) ([]string, error) {
	return nil, b.c.StopEverything(ctx)
}

func (b *overBus) Commands(ctx context.Context) ([]dbus.Command, error) {
	return b.c.ListCommands(ctx)
}

func (b *overBus) Cancel(ctx context.Context, number uint64) error {
	return b.c.CancelCommand(ctx, number)
}
