package admin

import (
	"context"
	"errors"
	"fmt"
	"os/exec"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/qubes"
	"qvmremote/queue"
)

// placeKey stores in a qube the key that comes on its stdin. It is constant.
const placeKey = "exec qvm-remote key import"

// Generate makes a key, places it in the running qube vm and authorises vm with
// it. A key that the qube has, or that dom0 has for it, is a [*ReplaceError]
// unless the terms replace it, and so it is an error where that cannot be told. The
// key goes over the stdin of a qvm-run and is on no command line.
func (a *Admin) Generate(ctx context.Context, vm string, terms Terms) (Change, error) {
	c := a.change(vm)
	if err := a.mustRun(ctx, vm); err != nil {
		return c, err
	}
	// Before the qube's own key is gone, not after.
	if _, _, err := a.source().Load(); err != nil {
		return c, fmt.Errorf("the settings must be mended first: %w", err)
	}
	key := queue.GenerateKey()
	if !terms.Replace {
		if err := a.keyless(ctx, vm, key); err != nil {
			return c, err
		}
	}
	path, err := qubes.Tool(a.Root, "qvm-run")
	if err != nil {
		return c, err
	}
	if _, err := qubes.Feed(ctx, fetchWait, append(key.Reveal(), '\n'), path, "--no-gui", "--no-autostart", "--pass-io", vm, placeKey); err != nil {
		return c, fmt.Errorf("cannot place a key in %s; see that qvm-remote is installed in its template: %w", vm, err)
	}
	// The qube may keep it where dom0 does not look, or not at all.
	there, err := a.FetchKey(ctx, vm)
	switch {
	case err == nil && !there.Equal(key):
		return c, fmt.Errorf("%s does not show the key that was placed in it; nothing was authorised. See that QVM_REMOTE_VM_USER names the account that qvm-run uses there", vm)
	case err == nil:
		c, err = a.authorize(ctx, vm, key, terms, audit.Connected)
	}
	if err != nil {
		err = fmt.Errorf("%s has a new key now, which dom0 may not have; until this is repeated, its requests may be denied: %w", vm, err)
	}
	return c, err
}

// keyless refuses a qube that has a key, or that dom0 has one for.
func (a *Admin) keyless(ctx context.Context, vm string, key queue.Key) error {
	s, err := keys.Open(a.Root.Keys())
	if err != nil {
		return err
	}
	held, err := s.Get(vm)
	switch {
	case err == nil:
		return &ReplaceError{VM: vm, Old: held.Current.Fingerprint(), New: key.Fingerprint()}
	case !errors.Is(err, keys.ErrNoKey):
		return err
	}
	own, err := a.FetchKey(ctx, vm)
	if err == nil {
		return &ReplaceError{VM: vm, Old: own.Fingerprint(), New: key.Fingerprint()}
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == noFile {
		return nil
	}
	return fmt.Errorf("it cannot be told whether %s has a key already: %w", vm, err)
}

// noFile is how cat ends in the qube where there is nothing to read.
const noFile = 1
