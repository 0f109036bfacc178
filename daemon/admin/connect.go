package admin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/qubes"
	"qvmremote/queue"
)

const (
	fetchWait   = 30 * time.Second // real qvm-run may hold the first data back for 10 s
	maxFetched  = 1 << 10          // bytes of a qube's answer, login noise included
	stateMaxAge = 0                // a state is asked for, not remembered
)

// FetchKey reads the key that the running qube vm has. Nothing vouches for it
// but the qube itself: let a person compare the fingerprint with the one that
// `qvm-remote status` shows in the qube before it is stored.
func (a *Admin) FetchKey(ctx context.Context, vm string) (queue.Key, error) {
	if err := a.mustRun(ctx, vm); err != nil {
		return queue.Key{}, err
	}
	set, _, err := a.source().Load()
	if err != nil {
		return queue.Key{}, fmt.Errorf("the settings must be mended first: %w", err)
	}
	path, err := qubes.Tool(a.Root, "qvm-run")
	if err != nil {
		return queue.Key{}, err
	}
	// Constant but for the account, whose grammar the settings check.
	command := "exec cat /home/" + set.VMUser + "/" + queue.FolderName + "/auth.key"
	out, err := qubes.Output(ctx, fetchWait, path, "--no-gui", "--no-autostart", "--pass-io", vm, command)
	if err != nil {
		return queue.Key{}, fmt.Errorf("cannot read the key in %s: %w; if it has none, make one there: qvm-remote key gen", vm, err)
	}
	if len(out) > maxFetched {
		return queue.Key{}, fmt.Errorf("%s answered %d bytes instead of a key", vm, len(out))
	}
	// What a login shell prints comes before it.
	lines := bytes.Split(bytes.TrimSuffix(out, []byte("\n")), []byte("\n"))
	last := lines[len(lines)-1]
	key, err := queue.ParseKey(last)
	if err != nil || len(last) != queue.KeyLen {
		return queue.Key{}, fmt.Errorf("%s has no valid key; make one there: qvm-remote key gen", vm)
	}
	return key, nil
}

// mustRun refuses a qube that is not in state Running: a call could start it,
// or hang.
func (a *Admin) mustRun(ctx context.Context, vm string) error {
	state, err := a.state(ctx, vm)
	switch {
	case err != nil:
		return err
	case state == qubes.Paused:
		return paused(vm)
	case state != qubes.Running:
		return refusedAs(ErrNotRunning, "%s is not running; start it first: qvm-start %[1]s", vm)
	}
	return nil
}

// state asks for the state of a qube that there is.
func (a *Admin) state(ctx context.Context, vm string) (qubes.State, error) {
	if err := checkName(vm); err != nil {
		return qubes.Unknown, err
	}
	state, err := a.Tools.State(ctx, vm, stateMaxAge)
	if errors.Is(err, qubes.ErrNoQube) {
		err = refusedAs(ErrNoQube, "dom0 knows no qube of the name %s; see qvm-ls", vm)
	}
	return state, err
}

func paused(vm string) error {
	return refusedAs(ErrNotRunning, "%s is paused; let it go on first: qvm-unpause %[1]s", vm)
}

// Connect is [Admin.Authorize] for a qube that runs, recorded as a connection.
// Whether version 1 is allowed, and the limit of a key that stays, are as before.
func (a *Admin) Connect(ctx context.Context, vm string, key queue.Key, terms Terms) (Change, error) {
	if err := a.mustRun(ctx, vm); err != nil {
		return a.change(vm), err
	}
	return a.authorize(ctx, vm, key, terms, audit.Connected)
}

// Disconnect revokes the key of vm, takes it out of the list of qubes and, if
// it runs, cleans its queue. Each of these is done even if another failed.
func (a *Admin) Disconnect(ctx context.Context, vm string) (c Change, err error) {
	c = a.change(vm)
	if err := checkName(vm); err != nil {
		return c, err
	}
	if err := a.forget(ctx, &c); err != nil || !c.Changed {
		return c, err
	}
	cleaned := a.Clean(ctx, []string{vm}, true)
	for _, q := range cleaned {
		c.Cleaned = len(q.Done)
		if q.Note != "" {
			c.Warnings = append(c.Warnings, "its queue was not cleaned: "+q.Note)
		}
	}
	return c, nil
}

func (a *Admin) forget(ctx context.Context, c *Change) error {
	s, unlock, err := a.keystore(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	revoked := a.revoke(ctx, s, c)
	if errors.Is(revoked, keys.ErrNoKey) {
		revoked = nil
	}
	l, err := a.ledger(ctx, s)
	if err != nil {
		// The list is edited all the same; that the record is missing is said.
		_, _, edit := a.source().RemoveVM(c.VM)
		return errors.Join(revoked, edit, err)
	}
	edited := l.list(ctx, c, false)
	var recorded error
	if c.Changed {
		recorded = l.add(ctx, audit.Record{Event: audit.Disconnected, Qube: c.VM, Key: c.Fingerprint})
	} else if !slices.Contains(c.VMs, c.VM) {
		edited = errors.Join(edited, refused("%s has no key and is not in %s", c.VM, c.Config))
	}
	c.Warnings = append(c.Warnings, l.odd...)
	return errors.Join(revoked, edited, recorded, l.close())
}
