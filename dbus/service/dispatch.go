package service

import (
	"context"
	"errors"
	"reflect"
	"runtime/debug"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/dbus/wire"
	"qvmremote/queue"
)

// handler gives godbus one object for every path: what is there and what is
// not is decided in one place, behind the gate, and descriptors that came with
// a call to nothing are closed like all others.
type handler struct{ s *Service }

// target is an object, an interface of it, and a method of that, as godbus
// looks them up one after the other.
type target struct {
	s      *Service
	path   godbus.ObjectPath
	member gate.Member
	msg    *godbus.Message
}

func (h handler) LookupObject(p godbus.ObjectPath) (godbus.ServerObject, bool) {
	return &target{s: h.s, path: p}, true
}

func (t *target) LookupInterface(name string) (godbus.Interface, bool) {
	t.member.Interface = name
	return t, true
}

func (t *target) LookupMethod(name string) (godbus.Method, bool) {
	t.member.Name = name
	return t, true
}

// DecodeArguments keeps the message and tells godbus not to answer: only who
// sends the answer itself knows when it has left.
func (t *target) DecodeArguments(_ *godbus.Conn, _ string, msg *godbus.Message, body []any) ([]any, error) {
	m := *msg
	t.msg = &m
	msg.Flags |= godbus.FlagNoReplyExpected
	return body, nil
}

// Call answers the message. It never fails towards godbus.
func (t *target) Call(...any) ([]any, error) {
	defer t.s.traffic.done(t.msg)
	defer closeAll(t.msg.Body)
	select {
	case <-t.s.made: // a call may come before we know our own name
	case <-t.s.life.Done():
		return nil, nil
	}
	out, err := t.s.answer(t)
	if t.msg.Flags&godbus.FlagNoReplyExpected == 0 {
		t.s.reply(t.msg, out, err)
	}
	return nil, nil
}

// The rest of godbus.Method is for decoders other than DecodeArguments.
func (*target) NumArguments() int     { return 0 }
func (*target) NumReturns() int       { return 0 }
func (*target) ArgumentValue(int) any { return nil }
func (*target) ReturnValue(int) any   { return nil }

// reply sends the answer, or the error that it is.
func (s *Service) reply(to *godbus.Message, out []any, err error) {
	msg := &godbus.Message{Type: godbus.TypeMethodReply, Flags: godbus.FlagNoReplyExpected, Body: out, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldReplySerial: godbus.MakeVariant(to.Serial()),
		godbus.FieldDestination: to.Headers[godbus.FieldSender],
	}}
	if err != nil {
		e := named(err)
		msg.Type, msg.Body = godbus.TypeError, []any{e.Text}
		msg.Headers[godbus.FieldErrorName] = godbus.MakeVariant(e.Code.Name())
	}
	if len(msg.Body) > 0 {
		msg.Headers[godbus.FieldSignature] = godbus.MakeVariant(godbus.SignatureOf(msg.Body...))
	}
	if c := s.conn.Send(msg, make(chan *godbus.Call, 1)); c != nil && c.Err != nil {
		s.o.Log.Debug("cannot answer on the bus", "error", c.Err)
	}
}

// answer is one call from limits to result. Nothing is done before the gate
// has let it pass, and the gate asks for everything that there is to ask.
func (s *Service) answer(t *target) (out []any, err error) {
	sender, _ := t.msg.Headers[godbus.FieldSender].Value().(string)
	if err := s.traffic.admit(sender); err != nil {
		return nil, err
	}
	defer s.traffic.leave(sender)
	defer func() {
		if r := recover(); r != nil {
			s.o.Log.Error("a method of the bus failed", "method", t.member.Name, "panic", r, "stack", string(debug.Stack()))
			err = errors.New("this method failed; dom0's journal says how")
		}
	}()
	if why := wire.Refused(t.msg); why != "" {
		return nil, fail(dbus.InvalidArgument, "%s", queue.Escape(why, maxText))
	}
	m := s.methods[t.member]
	if m == nil || t.member.Interface == dbus.ManagerInterface && t.path != dbus.ManagerPath {
		return nil, fail(dbus.NoSuchObject, "there is no method %s of interface %q here", quoted(t.member.Name), clip(t.member.Interface))
	}
	ctx, cancel := context.WithCancel(s.life)
	defer cancel()
	if err := s.whenReady(ctx); err != nil {
		return nil, err
	}
	c := caller{sender: sender, interactive: t.msg.Flags&godbus.FlagAllowInteractiveAuthorization != 0, path: t.path}
	defer s.clients.cancelWith(sender, cancel)()
	if err := s.let(ctx, t.member, &c); err != nil {
		return nil, err
	}
	s.catchUp()
	args, err := m.decode(t.msg)
	if err != nil {
		return nil, err
	}
	s.o.Log.Debug("called over the bus", "method", t.member.Name, "who", c.who)
	limit := s.o.Times.Call
	if m.long {
		limit = s.o.Times.LongCall
	}
	// Only now: a person who was asked for a password took a time of their own.
	ctx, stop := context.WithTimeout(ctx, limit)
	defer stop()
	over, err := s.traffic.turn(ctx, m, c.uid)
	if err != nil {
		return nil, err
	}
	defer over()
	return m.call(ctx, c, args)
}

// whenReady waits until calls may be answered.
func (s *Service) whenReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, s.o.Times.Call)
	defer cancel()
	select {
	case <-s.ready:
		return nil
	case <-ctx.Done():
		return fail(dbus.Unavailable, "the service is still starting; try again")
	}
}

// let asks the gate.
func (s *Service) let(ctx context.Context, m gate.Member, c *caller) error {
	uid, err := s.gate.Identify(ctx, c.sender)
	var bus godbus.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &bus) && bus.Name != "org.freedesktop.DBus.Error.NameHasNoOwner" {
		return fail(dbus.Unavailable, "the bus is too busy to say who asks; try again")
	}
	if err != nil {
		return fail(dbus.NotAuthorized, "the bus does not say who asks: %v", err)
	}
	c.uid, c.who = uid, account(uid)
	return s.gate.Check(ctx, m, gate.Caller{Sender: c.sender, UID: uid, Interactive: c.interactive})
}

// caller is who asks, and for which object.
type caller struct {
	sender      string // unique name on the bus
	uid         uint32
	who         string // the account's name, for the record
	interactive bool   // the caller can wait while a person is asked
	path        godbus.ObjectPath
}

// method is a Go function bound to a method of the interface.
type method struct {
	fn    reflect.Value // func(context.Context, caller, in...) (out..., error)
	in    godbus.Signature
	long  bool // see long
	reads bool // see reads
	scans bool // see reads
}

// decode makes the function's arguments. Only what has exactly the described
// types passes.
func (m *method) decode(msg *godbus.Message) ([]reflect.Value, error) {
	given, _ := msg.Headers[godbus.FieldSignature].Value().(godbus.Signature)
	if given.String() != m.in.String() {
		return nil, fail(dbus.InvalidArgument, "this method takes arguments of the types %q, not %q", m.in.String(), clip(given.String()))
	}
	t := m.fn.Type()
	args := make([]reflect.Value, 0, len(msg.Body))
	into := make([]any, 0, len(msg.Body))
	for i := 2; i < t.NumIn(); i++ {
		p := reflect.New(t.In(i))
		args, into = append(args, p.Elem()), append(into, p.Interface())
	}
	if err := godbus.Store(msg.Body, into...); err != nil {
		return nil, fail(dbus.InvalidArgument, "an argument cannot be read: %v", err)
	}
	return args, nil
}

func (m *method) call(ctx context.Context, c caller, args []reflect.Value) ([]any, error) {
	results := m.fn.Call(append([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(c)}, args...))
	last := len(results) - 1
	if err, _ := results[last].Interface().(error); err != nil {
		return nil, err
	}
	out := make([]any, last)
	for i := range out {
		out[i] = results[i].Interface()
	}
	return out, nil
}
