package service

import (
	"context"
	"errors"
	"fmt"

	"qvmremote/daemon"
	"qvmremote/daemon/systemd"
	"qvmremote/dbus"
)

// Start starts the executor and waits until it works. While it does, this
// process loses the name to it, and still answers its caller. An executor that
// is about to end cannot wait for the next one, which begins when it has ended.
func (m manager) Start(ctx context.Context, c caller) error {
	if x := m.s.executor.Load(); x != nil && x.Snapshot().State != dbus.Stopping {
		return nil
	}
	over, err := m.s.unit(ctx)
	if err != nil {
		return err
	}
	defer over()
	if m.s.executes {
		return m.s.admin(c).Restart(ctx, false)
	}
	err = m.s.admin(c).Start(ctx)
	var job *systemd.JobError
	if errors.As(err, &job) {
		m.s.objects.look.reread()
		m.s.objects.refresh(m.s.life)
		if broken := m.s.objects.look.problem(); broken != nil {
			return fmt.Errorf("%w; %w", broken, err)
		}
	}
	return err
}

// Stop asks systemd to stop the executor. That a call to the executor must be
// answered before that can end is why it does not wait there.
func (m manager) Stop(ctx context.Context, c caller) error {
	over, err := m.s.unit(ctx)
	if err != nil {
		return err
	}
	defer over()
	return m.s.admin(c).Stop(ctx, !m.s.executes)
}

// Restart asks systemd to restart the executor.
func (m manager) Restart(ctx context.Context, c caller) error {
	over, err := m.s.unit(ctx)
	if err != nil {
		return err
	}
	defer over()
	return m.s.admin(c).Restart(ctx, !m.s.executes)
}

// Pause makes the executor take nothing new.
func (m manager) Pause(ctx context.Context, c caller) error {
	return m.warned(m.s.admin(c).Pause(ctx))
}

// Resume ends that.
func (m manager) Resume(ctx context.Context, c caller) error {
	return m.warned(m.s.admin(c).Resume(ctx))
}

// StopEverything ends what runs and what waits.
func (m manager) StopEverything(ctx context.Context, c caller) error {
	return m.warned(m.s.admin(c).StopEverything(ctx))
}

// warned logs what a change of state had to say besides. That it was done is
// the answer; what is wrong with the log is in the health.
func (m manager) warned(warnings []string, err error) error {
	for _, w := range warnings {
		m.s.o.Log.Warn("a change of the service's state", "warning", w)
	}
	m.s.objects.refresh(m.s.life)
	return err
}

// EnableAtBoot has the executor started at each boot.
func (m manager) EnableAtBoot(ctx context.Context, c caller, accepted bool) error {
	if !accepted {
		return fail(dbus.RiskNotAccepted, "from then on whoever controls an authorised qube controls dom0, at every boot; "+
			"say that this is accepted (accept_risk true)")
	}
	warnings, err := m.s.admin(c).EnableAtBoot(ctx)
	m.s.readBoot(ctx)
	return m.warned(warnings, err)
}

// DisableAtBoot ends that.
func (m manager) DisableAtBoot(ctx context.Context, c caller) error {
	warnings, err := m.s.admin(c).DisableAtBoot(ctx)
	m.s.readBoot(ctx)
	return m.warned(warnings, err)
}

// Reload reads settings and keys now.
func (m manager) Reload(ctx context.Context, _ caller) error {
	var err error
	if x := m.s.executor.Load(); x != nil {
		err = x.Reload(ctx)
	}
	m.s.objects.look.stale.Store(true)
	m.s.readBoot(ctx)
	m.s.objects.refresh(m.s.life)
	if broken := m.s.objects.look.problem(); err == nil && broken != nil {
		err = broken
	}
	return err
}

// CancelCommand ends one command.
func (m manager) CancelCommand(ctx context.Context, c caller, number uint64) error {
	x := m.s.executor.Load()
	if x == nil || number > 1<<62 {
		return daemon.ErrNoCommand
	}
	return x.CancelNumber(ctx, int64(number), c.who, "dbus")
}
