package main

import (
	"context"
	"fmt"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/admin"
	"qvmremote/dbus"
)

func (b *overBus) Enable(ctx context.Context) ([]string, error) {
	if err := b.c.EnableAtBoot(ctx, true); err != nil {
		return nil, err
	}
	if _, err := b.Start(ctx); err != nil {
		return nil, fmt.Errorf("%w: %w", admin.ErrOnlyAtBoot, err)
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

func (b *overBus) Start(ctx context.Context) (bool, error) {
	if err := b.c.Start(ctx); err != nil {
		return false, err
	}
	return b.works(ctx, "the daemon was told to start", 0)
}

func (b *overBus) Stop(ctx context.Context) error {
	if err := b.c.Stop(ctx); err != nil {
		return err
	}
	return b.settled(ctx, "the daemon was told to stop", func(m dbus.Manager) bool { return m.State == dbus.Stopped })
}

func (b *overBus) Restart(ctx context.Context) (bool, error) {
	before, err := b.c.ReadManager(ctx)
	if err == nil {
		err = b.c.Restart(ctx)
	}
	if err != nil {
		return false, err
	}
	return b.works(ctx, "the daemon was told to restart", before.Pid)
}

// works waits until an executor other than the process old works, and tells
// whether it is paused. One that is about to end reads as stopped and can only
// pass an order on. Who is stopped for longer knows, asked once more, why.
func (b *overBus) works(ctx context.Context, what string, old uint32) (paused bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	var now dbus.Manager
	for {
		err := b.settled(ctx, what, func(m dbus.Manager) bool {
			now = m
			return m.State == dbus.Stopped || m.Pid != 0 && m.Pid != old && (m.State == dbus.Running || m.State == dbus.Paused)
		})
		if err != nil || now.State != dbus.Stopped {
			return now.State == dbus.Paused, err
		}
		select {
		case <-ctx.Done():
			continue // settled says what that means
		case <-time.After(handOver):
		}
		if now, err := b.c.ReadManager(ctx); err != nil || now.State != dbus.Stopped {
			continue
		}
		if err := b.c.Start(ctx); err != nil {
			return false, err
		}
	}
}

// handOver is how long an executor that ends usually takes to leave the bus to
// who knows more.
const handOver = 250 * time.Millisecond

func (b *overBus) Pause(ctx context.Context) ([]string, error) { return nil, b.c.Pause(ctx) }

// Resume cannot tell a pause that nothing runs in from none.
func (b *overBus) Resume(ctx context.Context) (bool, []string, error) {
	m, err := b.c.ReadManager(ctx)
	if err == nil {
		err = b.c.Resume(ctx)
	}
	_, was := health(m, daemon.HealthPaused)
	return was, nil, err
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
