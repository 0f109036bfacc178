package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/settings"
)

// follow serves the configured qubes and follows every change of settings and
// keys, until ctx ends.
func (x *Executor) follow(ctx context.Context) error {
	updates, err := x.source().Watch(ctx, x.settings())
	if err != nil {
		return err
	}
	changedKeys, err := x.keys.Watch(ctx)
	if err != nil {
		return err
	}
	tidy := time.NewTicker(x.o.Times.Tidy)
	defer tidy.Stop()
	x.tidy(ctx)
	x.configure(ctx)
	x.ready()
	x.followPower(ctx)
	pulse := x.newPulse()
	defer pulse.stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-updates:
			if !ok {
				updates = nil // it ends with ctx
				continue
			}
			// What the file said when the kernel told may be older than what a
			// Reload has read since.
			_ = x.reread(ctx)
		case answer := <-x.reloads:
			answer <- x.rereadNow(ctx)
		case name, ok := <-changedKeys:
			if !ok {
				changedKeys = nil
				continue
			}
			x.keyChanged(name)
		case <-tidy.C:
			x.tidy(ctx)
		case <-pulse.tick:
			pulse.probe(ctx)
		case <-pulse.back:
			pulse.beat()
		}
	}
}

// Reload reads remote.conf and all keys now instead of when the kernel tells
// that they changed. The error is that of the settings: the last good ones stay
// in force.
func (x *Executor) Reload(ctx context.Context) error {
	if x.o.Once {
		return errors.New("with --once, settings and keys are read at the start only")
	}
	answer := make(chan error, 1)
	select {
	case x.reloads <- answer:
	case <-x.accepting.Done():
		return errStopping
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (x *Executor) rereadNow(ctx context.Context) error {
	err := x.reread(ctx)
	x.keyChanged("")
	if err != nil {
		return fmt.Errorf("the settings are not used; the last good ones stay in force: %w", err)
	}
	return nil
}

// reread takes over what the settings are now.
func (x *Executor) reread(ctx context.Context) error {
	set, warnings, err := x.source().Load()
	x.reload(ctx, settings.Update{Settings: set, Warnings: warnings, Err: err})
	return err
}

// reload takes new settings over, if they are good.
func (x *Executor) reload(ctx context.Context, u settings.Update) {
	if u.Err != nil {
		x.warn("the settings are not used; the last good ones stay in force", "error", u.Err)
		x.status.warnOf(HealthSettings, u.Err.Error())
		return
	}
	x.status.warnOf(HealthSettings, "")
	for _, w := range u.Warnings {
		x.warn("the settings are odd", "warning", w.String())
	}
	x.mu.Lock()
	waiting, changes := settings.Waiting(x.set, u.Settings), settings.Changes(x.set, u.Settings)
	x.set = u.Settings
	x.mu.Unlock()
	for _, name := range waiting {
		x.warn("the change of a setting counts from the daemon's next start on", "setting", name)
	}
	if len(changes) > 0 {
		// Whoever edited the file by hand is not known; that it counts from
		// now on is.
		x.tell(audit.Record{Event: audit.Setting, Way: "file", Detail: strings.Join(changes, "; ")})
	}
	x.slots.SetLimits(x.slotLimits())
	x.configure(ctx)
}

// InForce are the settings that this executor goes by now. It may be called by
// any goroutine once Front.Ready was called.
func (x *Executor) InForce() settings.Settings {
	return settings.InForce(x.started, x.settings())
}

// keyChanged wakes the qube whose key or meta changed.
func (x *Executor) keyChanged(name string) {
	x.revokeStale(name)
	for _, q := range x.all() {
		if name == "" || q.name == name {
			q.wake()
			q.bound() // and an error in the policy is to be known before a request meets it
		}
	}
}

// configure starts the loops of newly listed qubes and ends those of others.
func (x *Executor) configure(ctx context.Context) {
	want := map[string]bool{}
	for _, name := range x.names() {
		want[name] = true
		q := x.qubeOf(name)
		x.mu.Lock()
		if x.leave[name] == nil {
			qctx, leave := context.WithCancel(ctx)
			x.leave[name] = leave
			x.loops.Add(1)
			go func() {
				defer x.loops.Done()
				q.loop(qctx)
			}()
		}
		x.mu.Unlock()
	}
	x.mu.Lock()
	for name, leave := range x.leave {
		if !want[name] {
			leave()
			delete(x.leave, name)
		}
	}
	x.mu.Unlock()
	x.status.touch()
}

func (x *Executor) names() []string {
	if len(x.o.VMs) > 0 {
		return x.o.VMs
	}
	return x.settings().VMs
}

// qubeOf returns the one state that a qube of this name has in this run.
func (x *Executor) qubeOf(name string) *qube {
	x.mu.Lock()
	defer x.mu.Unlock()
	q := x.qubes[name]
	if q == nil {
		q = newQube(x, name)
		x.qubes[name] = q
	}
	return q
}

// power is the qube's state, from a look at all qubes that may be so old.
func (x *Executor) power(ctx context.Context, name string, maxAge time.Duration) (string, error) {
	state, err := x.tools.State(ctx, name, maxAge)
	if errors.Is(err, qubes.ErrNoQube) {
		return "no such qube", nil
	}
	return string(state), err
}

// uuid asks for the qube's uuid, "" if that cannot be told.
func (x *Executor) uuid(ctx context.Context, name string) string {
	uuid, err := x.tools.UUID(ctx, name)
	if err != nil {
		x.info("cannot ask for a qube's uuid", "qube", name, "error", err)
		return ""
	}
	return uuid
}
