package systemd

import (
	"context"
	"errors"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"
)

// Watch calls changed whenever what [Units.Enabled] or [Units.Active] say of
// unit may have changed, and once at the beginning, when nothing can be missed
// any more. It returns the context's error when that ends, and another when
// there is no systemd or the bus is lost: what happens after that goes unseen.
func (u Units) Watch(ctx context.Context, unit string, changed func()) error {
	watching, cancel := context.WithCancel(ctx)
	defer cancel()
	err := u.watch(watching, cancel, unit, changed)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if watching.Err() != nil {
		err = errors.New("no answer in time")
	}
	return explained(ctx, "watch", unit, err)
}

// watch bounds the beginning with cancel, and goes on as long as ctx lasts.
func (u Units) watch(ctx context.Context, cancel context.CancelFunc, unit string, changed func()) error {
	late := time.AfterFunc(CallLimit, cancel)
	defer late.Stop()
	l, err := u.dial(ctx)
	if err != nil {
		return err
	}
	defer l.close()
	signals, err := l.observe(unit)
	if err != nil {
		return err
	}
	if !late.Stop() {
		return context.DeadlineExceeded
	}
	for {
		changed()
		s, err := l.next(signals)
		if err != nil {
			return err
		}
		if s.Name == "org.freedesktop.DBus.NameOwnerChanged" {
			if err := l.subscribe(); err != nil {
				return err
			}
		}
	}
}

// observe asks for all that tells of unit.
func (l *link) observe(unit string) (chan *godbus.Signal, error) {
	signals, err := l.listen(godbus.WithMatchInterface(manager), godbus.WithMatchMember("UnitFilesChanged"), godbus.WithMatchObjectPath(path))
	if err != nil {
		return nil, err
	}
	err = errors.Join(
		// Read anew, a unit may be another.
		l.also(godbus.WithMatchInterface(manager), godbus.WithMatchMember("Reloading"), godbus.WithMatchObjectPath(path)),
		l.also(godbus.WithMatchInterface("org.freedesktop.DBus.Properties"), godbus.WithMatchMember("PropertiesChanged"),
			godbus.WithMatchObjectPath(godbus.ObjectPath(units+sd.PathBusEscape(unit))), godbus.WithMatchArg(0, unitIface)),
		l.conn.AddMatchSignalContext(l.ctx, godbus.WithMatchSender("org.freedesktop.DBus"),
			godbus.WithMatchInterface("org.freedesktop.DBus"), godbus.WithMatchMember("NameOwnerChanged"), godbus.WithMatchArg(0, name)))
	if err != nil {
		return nil, err
	}
	return signals, l.subscribe()
}

// subscribe makes systemd send signals of units at all. A systemd that has just
// gone says of itself when it is back; one that does not answer is not waited
// for as long as the watch may last.
func (l *link) subscribe() error {
	ctx, cancel := context.WithTimeout(l.ctx, CallLimit)
	defer cancel()
	err := l.object().CallWithContext(ctx, manager+".Subscribe", godbus.FlagNoAutoStart).Err
	var e godbus.Error
	if errors.As(err, &e) {
		switch e.Name {
		case "org.freedesktop.systemd1.AlreadySubscribed", "org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NameHasNoOwner":
			return nil
		}
	}
	return err
}
