package systemd

import (
	"context"
	"errors"

	godbus "github.com/godbus/dbus/v5"
)

// Enable makes unit start at each boot; it starts nothing now.
func (u Units) Enable(ctx context.Context, unit string) error {
	return u.with(ctx, CallLimit, "enable", unit, func(l *link) error {
		installable, _, err := l.manager.EnableUnitFilesContext(l.ctx, []string{unit}, false, false)
		if err != nil {
			return err
		}
		if !installable {
			return errors.New("the unit says of no target that wants it")
		}
		return l.manager.ReloadContext(l.ctx)
	})
}

// Disable makes unit no longer start at boot; it stops nothing now.
func (u Units) Disable(ctx context.Context, unit string) error {
	return u.with(ctx, CallLimit, "disable", unit, func(l *link) error {
		if _, err := l.manager.DisableUnitFilesContext(l.ctx, []string{unit}, false); err != nil {
			return err
		}
		return l.manager.ReloadContext(l.ctx)
	})
}

// Enabled is systemd's word for whether unit starts at boot, such as "enabled",
// "disabled" or "masked"; "" for a unit that is not installed.
func (u Units) Enabled(ctx context.Context, unit string) (word string, err error) {
	err = u.with(ctx, CallLimit, "tell the state of", unit, func(l *link) error {
		// From the files: the unit's property is as old as systemd's last reload.
		err := l.object().CallWithContext(l.ctx, manager+".GetUnitFileState", 0, unit).Store(&word)
		if e := (godbus.Error{}); errors.As(err, &e) && missing(e) {
			return nil
		}
		return err
	})
	return word, err
}

// Active is systemd's word for what unit does: "active", "activating",
// "deactivating", "failed" or "inactive", which is also said of one that is not
// installed.
func (u Units) Active(ctx context.Context, unit string) (state string, err error) {
	err = u.with(ctx, CallLimit, "tell the state of", unit, func(l *link) error {
		p, err := l.manager.GetUnitPropertyContext(l.ctx, unit, "ActiveState")
		if err != nil {
			return err
		}
		return p.Value.Store(&state)
	})
	return state, err
}
