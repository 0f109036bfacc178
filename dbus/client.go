package dbus

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus/wire"
)

// How long a call waits whose context has no deadline: for an answer, for
// what takes its time (systemd, a qube, all of the log), and for a person
// whom polkit asks.
const (
	patience     = 30 * time.Second
	longPatience = 150 * time.Second
)

// maxAnswer is the largest message, in bytes, that the system bus passes on.
const maxAnswer = 32 << 20

// Client calls the methods of org.qvmremote1, by a connection of its own. Its
// methods may be called from many goroutines at once. Each ends when its
// context does, or after 30 seconds where that has no deadline (150 seconds
// for what takes its time, and for all where Interactive is set). What they
// return as an error is an [*Error], with text for people.
type Client struct {
	// Interactive lets polkit ask the person at the screen. Set it, if at all,
	// before the first call, and never in what nobody watches.
	Interactive bool
	// NoAutoStart lets calls fail as [Absent] where the service does not run,
	// instead of starting it. Set it, if at all, before the first call.
	NoAutoStart bool

	conn     *godbus.Conn
	end      context.CancelFunc // of the connection's life
	signals  *signalQueue
	patience time.Duration // 0: patience and longPatience; shortened in tests
}

// Dial connects to the bus of that address, "" for the system bus. It neither
// asks for the service nor starts it. The context bounds the connecting
// alone, which takes 10 seconds at most.
func Dial(ctx context.Context, address string) (*Client, error) {
	if address == "" {
		address = systemBus()
	}
	life, end := context.WithCancel(context.Background())
	c := &Client{signals: newSignalQueue(), end: end}
	var err error
	c.conn, err = wire.Dial(ctx, address, wire.Options{MaxAnswer: maxAnswer, SendsFiles: true},
		godbus.WithContext(life), godbus.WithSignalHandler(c.signals))
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		err = plainError(ctx.Err())
	default:
		err = &Error{Code: Disconnected, Text: "cannot connect to the message bus: " + tidy(err.Error())}
	}
	c.end()
	return nil, err
}

// systemBus is where the specification puts it, unless the environment says
// otherwise.
func systemBus() string {
	if address := os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"); address != "" {
		return address
	}
	return "unix:path=/run/dbus/system_bus_socket;unix:path=/var/run/dbus/system_bus_socket"
}

// Close ends the connection; calls that wait fail as [Disconnected].
func (c *Client) Close() error {
	defer c.end()
	if err := c.conn.Close(); err != nil {
		return fmt.Errorf("cannot close the connection to the message bus: %w", err)
	}
	return nil
}

// Present reports whether somebody owns the service's name now. It never
// starts the service.
func (c *Client) Present(ctx context.Context) (bool, error) {
	owner, _, err := c.owner(ctx)
	return owner != "", err
}

// owner returns who owns the service's name, "" for nobody, and the place of
// that answer among the signals.
func (c *Client) owner(ctx context.Context) (string, godbus.Sequence, error) {
	var owner string
	call, err := c.do(ctx, request{dest: busName, path: busPath, iface: busName, method: "GetNameOwner", args: []any{Name}}, &owner)
	if errors.Is(err, Err(Absent)) {
		return "", call.ResponseSequence, nil
	}
	if err != nil {
		return "", 0, err
	}
	return owner, call.ResponseSequence, nil
}

const (
	busName                   = "org.freedesktop.DBus"
	busPath godbus.ObjectPath = "/org/freedesktop/DBus"
)

// request is one method call.
type request struct {
	dest          string // "": the service, whoever is it then
	path          godbus.ObjectPath
	iface, method string
	args          []any
	long          bool       // takes its time
	silent        bool       // no person waits for it: polkit must ask nobody
	farewell      bool       // nobody waits for the answer
	files         []*os.File // that args name; closed once they are sent
}

func manager(method string, args ...any) request {
	return request{path: ManagerPath, iface: ManagerInterface, method: method, args: args}
}

// slowly marks a call that may take its time.
func (r request) slowly() request {
	r.long = true
	return r
}

// call sends r, waits, and stores what is answered where results point.
func (c *Client) call(ctx context.Context, r request, results ...any) error {
	_, err := c.do(ctx, r, results...)
	return err
}

func (c *Client) do(ctx context.Context, r request, results ...any) (*godbus.Call, error) {
	wait := patience
	switch {
	case c.patience > 0:
		wait = c.patience
	case r.long || c.Interactive && !r.silent:
		wait = longPatience
	}
	ctx, stop := withPatience(ctx, wait)
	defer stop()
	done := make(chan *godbus.Call, 1)
	// Sending waits for the bus to read, which no context ends; the call ends
	// with its context all the same.
	go func() {
		c.conn.SendWithContext(ctx, c.message(r), done)
		for _, f := range r.files {
			_ = f.Close()
		}
	}()
	call := <-done
	if call.Err != nil {
		return call, plainError(call.Err)
	}
	if err := godbus.Store(call.Body, results...); err != nil {
		return call, &Error{Code: Incompatible, Text: fmt.Sprintf("the answer to %s is not of the form that this program knows; "+
			"install the same version of qvm-remote's service and of this program", r.method)}
	}
	return call, nil
}

// message is r on the wire. godbus's own call methods drop the flag that lets
// polkit ask.
func (c *Client) message(r request) *godbus.Message {
	if r.dest == "" {
		r.dest = Name
	}
	m := &godbus.Message{Type: godbus.TypeMethodCall, Body: r.args, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldDestination: godbus.MakeVariant(r.dest),
		godbus.FieldPath:        godbus.MakeVariant(r.path),
		godbus.FieldInterface:   godbus.MakeVariant(r.iface),
		godbus.FieldMember:      godbus.MakeVariant(r.method),
	}}
	if len(r.args) > 0 {
		m.Headers[godbus.FieldSignature] = godbus.MakeVariant(godbus.SignatureOf(r.args...))
	}
	if c.Interactive && !r.silent {
		m.Flags |= godbus.FlagAllowInteractiveAuthorization
	}
	if c.NoAutoStart {
		m.Flags |= godbus.FlagNoAutoStart
	}
	if r.farewell {
		m.Flags |= godbus.FlagNoReplyExpected
	}
	return m
}

func withPatience(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	if _, ok := ctx.Deadline(); ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, wait)
}
