package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// overBus is dom0 by its service on the message bus. Who may do what is for
// polkit to say: nothing here asks for root.
type overBus struct {
	c       *dbus.Client
	root    paths.Root // whose files the service works on
	address string
}

func (b *overBus) Way() string { return "the service on the message bus (" + b.address + ")" }

// Close leaves the bus; an error could only be that it is gone.
func (b *overBus) Close() { _ = b.c.Close() }

// change puts what the service answered, and what dom0 looks at now, into the
// words of the files.
func (b *overBus) change(ctx context.Context, vm, fingerprint string, warnings []string) admin.Change {
	ch := b.about(vm)
	ch.Fingerprint, ch.Warnings = fingerprint, warnings
	_, qubes, err := b.c.Status(ctx)
	if err != nil {
		ch.Warnings = append(ch.Warnings, "it is done, but it is not known which qubes dom0 looks at now: "+err.Error())
	}
	for _, q := range qubes {
		if q.Configured {
			ch.VMs = append(ch.VMs, q.Name)
		}
	}
	return ch
}

func (b *overBus) about(vm string) admin.Change {
	return admin.Change{VM: vm, KeyFile: filepath.Join(b.root.Keys(), vm+".key"), Config: b.root.Config()}
}

// changed is a change, or why there is none. key is the fingerprint of the key
// that it is about, "" where the caller does not know.
func (b *overBus) changed(ctx context.Context, vm, key string, warnings []string, err error) (admin.Change, error) {
	switch {
	case err == nil:
		return b.change(ctx, vm, key, warnings), nil
	case errors.Is(err, dbus.Err(dbus.NoKey)):
		err = &keyless{err}
	case errors.Is(err, dbus.Err(dbus.OtherKey)):
		other := &admin.ReplaceError{VM: vm, Old: "not known", New: key}
		if q, err := b.c.ReadQube(ctx, vm); err == nil && q.Fingerprint != "" {
			other.Old = q.Fingerprint
		}
		err = other
	}
	return b.about(vm), err
}

// keyless is the service's word for [keys.ErrNoKey].
type keyless struct{ error }

func (*keyless) Is(target error) bool { return target == keys.ErrNoKey }

func (b *overBus) Authorize(ctx context.Context, vm string, key queue.Key, terms admin.Terms) (admin.Change, error) {
	return b.authorize(ctx, vm, key, optionsOf(terms))
}

func (b *overBus) Connect(ctx context.Context, vm string, key queue.Key, terms admin.Terms) (admin.Change, error) {
	o := optionsOf(terms)
	o.Connect = true
	return b.authorize(ctx, vm, key, o)
}

func optionsOf(t admin.Terms) dbus.Options {
	return dbus.Options{Replace: t.Replace, Legacy: t.Legacy, Rules: t.Rules, ReplaceRules: t.ReplaceRules, Limit: limitOf(t.Limit)}
}

func limitOf(l admin.Limit) dbus.Limit {
	return dbus.Limit{For: l.For, Count: uint64(max(l.Count, 0)), UntilReboot: l.UntilReboot}
}

func (b *overBus) Limit(ctx context.Context, vm string, limit admin.Limit) (admin.Change, error) {
	warnings, err := b.c.LimitQube(ctx, vm, limitOf(limit))
	return b.changed(ctx, vm, "", warnings, err)
}

func (b *overBus) Readmit(ctx context.Context, vm string) (admin.Change, error) {
	warnings, err := b.c.ResumeQube(ctx, vm)
	return b.changed(ctx, vm, "", warnings, err)
}

func (b *overBus) authorize(ctx context.Context, vm string, key queue.Key, o dbus.Options) (admin.Change, error) {
	fingerprint, warnings, err := b.c.AuthorizeQube(ctx, vm, key, o)
	if err != nil && !key.IsZero() {
		fingerprint = key.Fingerprint()
	}
	return b.changed(ctx, vm, fingerprint, warnings, err)
}

// Offered never has the key itself: the service fetches it once more and
// compares it with what a person saw.
func (b *overBus) Offered(ctx context.Context, vm string) (string, taking, error) {
	fingerprint, err := b.c.FetchKey(ctx, vm)
	return fingerprint, func(ctx context.Context, terms admin.Terms) (admin.Change, error) {
		warnings, err := b.c.ConnectQube(ctx, vm, fingerprint, optionsOf(terms))
		return b.changed(ctx, vm, fingerprint, warnings, err)
	}, err
}

func (b *overBus) Revoke(ctx context.Context, vm string) (admin.Change, error) {
	warnings, err := b.c.RevokeQube(ctx, vm)
	return b.changed(ctx, vm, "", warnings, err)
}

func (b *overBus) Rotate(ctx context.Context, vm string, key queue.Key) (admin.Change, error) {
	fingerprint, warnings, err := b.c.RotateKey(ctx, vm, key)
	return b.changed(ctx, vm, fingerprint, warnings, err)
}

func (b *overBus) CancelRotation(ctx context.Context, vm string) (admin.Change, error) {
	warnings, err := b.c.CancelRotation(ctx, vm)
	return b.changed(ctx, vm, "", warnings, err)
}

func (b *overBus) Disconnect(ctx context.Context, vm string) (admin.Change, error) {
	cleaned, warnings, err := b.c.DisconnectQube(ctx, vm)
	ch, err := b.changed(ctx, vm, "", warnings, err)
	ch.Cleaned = int(cleaned)
	return ch, err
}

// settleWait is how long the executor may take to do what systemd promised: a
// stop waits for running commands.
const settleWait = 150 * time.Second

// settled waits until the executor is as it should be.
func (b *overBus) settled(ctx context.Context, what string, should func(dbus.Manager) bool) error {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	m, err := dbus.NewMirror(ctx, b.c)
	if err != nil {
		return err
	}
	defer m.Close()
	var now dbus.Snapshot
	for range m.Changed() {
		now = m.Snapshot()
		switch now.Availability {
		case dbus.Available:
			if should(now.Manager) {
				return nil
			}
		case dbus.Forbidden, dbus.Mismatched, dbus.NoBus:
			return fmt.Errorf("%s; it is not known whether it did: %s", what, now.Why)
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("%s; nobody waited for the end", what)
	}
	return fmt.Errorf("%s, and is %s after %v; see: journalctl -u %s", what, now.Manager.State, settleWait, admin.Service)
}
