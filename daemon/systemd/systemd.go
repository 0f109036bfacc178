// Package systemd starts, stops, enables and watches our own units, over
// systemd's interface on the system bus.
//
// It guarantees:
//   - Every wait ends: with its context, and in any case after [CallLimit], or
//     [JobLimit] where a job's end is waited for.
//   - What is reported as done, systemd said is done. Signals of anybody else
//     than the owner of systemd's name count for nothing.
//   - No program is run, nothing is started by looking, and no connection is
//     left open.
//
// Unit names are constants of ours: none here comes from a caller.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	sd "github.com/coreos/go-systemd/v22/dbus"
	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus/wire"
)

// The longest that a call takes whatever its context says: one that systemd
// answers at once, and one that waits for a job. A stop waits for commands.
const (
	CallLimit = 30 * time.Second
	JobLimit  = 150 * time.Second
)

const (
	name      = "org.freedesktop.systemd1"
	path      = godbus.ObjectPath("/org/freedesktop/systemd1")
	manager   = name + ".Manager"
	unitIface = name + ".Unit"
	units     = string(path) + "/unit/"
)

// ErrNone is wrapped when there is no systemd to ask: this root has no bus, the
// bus does not answer, or systemd is not on it.
var ErrNone = errors.New("there is no systemd here")

// JobError is a job that systemd accepted and did not do.
type JobError struct {
	Unit   string
	Verb   string // "start", "stop" or "restart"
	Result string // systemd's word: failed, canceled, timeout, dependency, skipped …
}

// Error says what to look at next.
func (e *JobError) Error() string {
	return fmt.Sprintf("systemd did not %s %s (%s); see: journalctl -u %s", e.Verb, e.Unit, e.Result, e.Unit)
}

// Units are the units of the systemd on one bus. The zero value has none.
type Units struct {
	Address string // of the bus; "" is none
}

// New returns the units of the bus that paths.Root.Bus found.
func New(address string, ok bool) Units {
	if !ok {
		return Units{}
	}
	return Units{Address: address}
}

// link is one conversation with systemd.
type link struct {
	ctx     context.Context
	conn    *godbus.Conn // for signals, and calls that go-systemd lacks
	manager *sd.Conn
	owner   string // systemd's unique name
}

func (l *link) object() godbus.BusObject { return l.conn.Object(name, path) }

// with runs do on a connection of its own, and puts what failed into words.
func (u Units) with(ctx context.Context, limit time.Duration, verb, unit string, do func(l *link) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	l, err := u.dial(ctx)
	if err == nil {
		err = do(l)
		l.close()
	}
	return explained(ctx, verb, unit, err)
}

// dial connects. The connections end with ctx at the latest.
func (u Units) dial(ctx context.Context) (*link, error) {
	if u.Address == "" {
		return nil, ErrNone
	}
	l := &link{ctx: ctx}
	var err error
	// go-systemd hears signals on a connection of its own, from whoever sends
	// them; we listen on ours.
	if l.conn, err = connect(ctx, u.Address); err != nil {
		return nil, err
	}
	if l.owner, err = l.whoOwns(); err != nil {
		l.conn.Close()
		return nil, err
	}
	l.manager, err = sd.NewConnection(func() (*godbus.Conn, error) { return connect(ctx, u.Address) })
	if err != nil {
		l.conn.Close()
		return nil, err
	}
	return l, nil
}

// connect ends the connection with ctx.
func connect(ctx context.Context, address string) (*godbus.Conn, error) {
	conn, err := wire.Dial(ctx, address, wire.Options{}, godbus.WithContext(ctx), godbus.WithSignalHandler(godbus.NewSequentialSignalHandler()))
	if err != nil && absent(err) {
		err = fmt.Errorf("%w (no bus at %s)", ErrNone, address)
	}
	return conn, err
}

func absent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// whoOwns asks the bus alone: a call to systemd's name would start whatever an
// activation file names.
func (l *link) whoOwns() (owner string, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, CallLimit)
	defer cancel()
	err = l.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, name).Store(&owner)
	return owner, err
}

func (l *link) close() {
	l.manager.Close()
	l.conn.Close()
}

// explained turns what the bus and systemd say into words for people.
func explained(ctx context.Context, verb, unit string, err error) error {
	if err == nil {
		return nil
	}
	if job := (*JobError)(nil); errors.As(err, &job) {
		return err
	}
	if e := ctx.Err(); e != nil {
		return fmt.Errorf("no answer from systemd in time to %s %s (see: systemctl status %s): %w", verb, unit, unit, e)
	}
	var e godbus.Error
	if errors.As(err, &e) {
		switch {
		case e.Name == "org.freedesktop.DBus.Error.ServiceUnknown",
			e.Name == "org.freedesktop.DBus.Error.NameHasNoOwner",
			strings.HasPrefix(e.Name, "org.freedesktop.DBus.Error.Spawn."):
			err = ErrNone
		case missing(e):
			return fmt.Errorf("systemd knows no unit %s, so it cannot %s it; is the package installed?: %w", unit, verb, err)
		case e.Name == "org.freedesktop.DBus.Error.AccessDenied",
			e.Name == "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired":
			return fmt.Errorf("systemd lets only root %s %s: %w: %w", verb, unit, os.ErrPermission, err)
		}
	}
	if errors.Is(err, ErrNone) {
		return fmt.Errorf("%w that could %s %s", err, verb, unit)
	}
	return fmt.Errorf("systemd could not %s %s: %w", verb, unit, err)
}

func missing(e godbus.Error) bool {
	switch e.Name {
	case "org.freedesktop.systemd1.NoSuchUnit", "org.freedesktop.systemd1.LoadFailed", "org.freedesktop.DBus.Error.FileNotFound":
		return true
	}
	return false
}
