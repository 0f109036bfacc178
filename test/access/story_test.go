package access

import (
	"context"
	"slices"
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/queue"
	"qvmremote/test/bus/polkit"
)

// row is one method, in the order in which a story calls them.
type row struct {
	iface, method string
	path          godbus.ObjectPath
	at            func(*story) godbus.ObjectPath // instead of path, where that is not known before; may be nil
	before        func(*story)                   // what must be so; may be nil
	args          func(*story) []any             // made anew for each call
	after         func(s *story, out []any)      // fails the test unless the method did what it is for
	hears         hears                          // what everybody is told; nil where nothing changes
}

// story is a life of a machine in which each method has its turn.
type story struct {
	*machine
	caller   *godbus.Conn // who calls in the end
	listener *listener
	table    gate.Table
	secrets  []string          // that nobody may hear
	going    *going            // the last command
	waiting  godbus.ObjectPath // the request that waits for approval
}

// newStory makes a machine on which nothing happened yet.
func newStory(t *testing.T) *story {
	t.Helper()
	s := &story{machine: newMachine(t, true), table: table(t)}
	s.listener = listen(t, s.bus.ConnectAs(t, nobody))
	return s
}

// table is what the interface says that each method needs.
func table(t *testing.T) gate.Table {
	t.Helper()
	interfaces, err := dbus.Interfaces()
	must(t, err)
	all := gate.Table{}
	for _, i := range interfaces {
		for _, m := range i.Methods {
			all[gate.Member{Interface: i.Name, Name: m.Name}] = dbus.Action(m)
		}
	}
	return all
}

// rows are the chapters of a story.
func rows() []row {
	return slices.Concat(keyRows(), powerRows(), serviceRows(), workRows(), auditRows(), requestRows(), endRows())
}

func (r row) member() gate.Member { return gate.Member{Interface: r.iface, Name: r.method} }

// newKey is a key that nobody may hear of.
func (s *story) newKey() queue.Key {
	k := queue.GenerateKey()
	s.secrets = append(s.secrets, string(k.Reveal()))
	return k
}

// begin calls a row's method. godbus's own ways to call drop the flag that lets
// polkit ask a person.
func (s *story) begin(conn *godbus.Conn, r row, flags godbus.Flags) *godbus.Call {
	s.t.Helper()
	if r.at != nil {
		r.path = r.at(s)
	}
	msg := &godbus.Message{Type: godbus.TypeMethodCall, Flags: flags, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldDestination: godbus.MakeVariant(dbus.Name), godbus.FieldPath: godbus.MakeVariant(r.path),
		godbus.FieldInterface: godbus.MakeVariant(r.iface), godbus.FieldMember: godbus.MakeVariant(r.method),
	}}
	if r.args != nil {
		msg.Body = r.args(s)
		msg.Headers[godbus.FieldSignature] = godbus.MakeVariant(godbus.SignatureOf(msg.Body...))
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	s.t.Cleanup(cancel)
	return conn.SendWithContext(ctx, msg, make(chan *godbus.Call, 1))
}

func (s *story) call(conn *godbus.Conn, r row, flags godbus.Flags) *godbus.Call {
	s.t.Helper()
	return <-s.begin(conn, r, flags).Done
}

// end takes a row's call to its end: it worked, it did what it is for, and
// everybody could hear of that.
func (s *story) end(r row, call *godbus.Call, heard int) {
	s.t.Helper()
	<-call.Done
	if call.Err != nil {
		s.t.Fatalf("%s, allowed: %v", r.method, call.Err)
	}
	if r.after != nil {
		r.after(s, call.Body)
	}
	if r.hears != nil {
		s.listener.await(heard, r.method, r.hears)
	}
}

// TestEveryMethodByEveryCaller: the bus turns nobody away, polkit decides about
// members of the group, and until it has said yes nothing has changed.
func TestEveryMethodByEveryCaller(t *testing.T) {
	t.Parallel()
	s := newStory(t)
	s.caller = s.connectMember()
	stranger := s.bus.ConnectAs(t, nobody)
	tried := map[gate.Member]bool{}
	for _, r := range rows() {
		tried[r.member()] = true
		if r.before != nil {
			r.before(s)
		}
		was := s.everything()
		if err := s.call(stranger, r, 0).Err; errorName(err) != accessDenied {
			t.Errorf("%s by nobody: %v", r.method, err)
		}
		action, known := s.table[r.member()]
		switch {
		case !known:
			t.Errorf("the interface does not describe %s", r.member())
		case action == gate.Open:
			s.openTo(r)
		case slices.Contains(gate.Actions(), action):
			s.guarded(r, action, was)
		default:
			t.Errorf("%s needs %q, which is no action", r.method, action)
		}
	}
	for m := range s.table {
		if !tried[m] {
			t.Errorf("no row says who may call %s", m)
		}
	}
}

// openTo: a member of the group may, and polkit is not asked.
func (s *story) openTo(r row) {
	s.t.Helper()
	s.polkit.Forget()
	heard := s.listener.soFar()
	s.end(r, s.begin(s.caller, r, 0), heard)
	if asked := s.polkit.Calls(); len(asked) != 0 {
		s.t.Errorf("%s: polkit was asked %v", r.method, asked)
	}
}

// guarded: a member may once polkit says yes to this action, and not before.
func (s *story) guarded(r row, action string, was map[string]string) {
	s.t.Helper()
	s.polkit.SetAllowed(slices.DeleteFunc(gate.Actions(), func(a string) bool { return a == action })...)
	s.polkit.Forget()
	err := s.call(s.caller, r, 0).Err
	if errorName(err) != dbus.NotAuthorized.Name() || !strings.Contains(err.Error(), action) {
		s.t.Errorf("%s, all but %s allowed: %v", r.method, action, err)
	}
	s.asked(r, action, 0)
	s.unchanged(was, r.method+", denied")

	s.polkit.SetAnswer(polkit.Hang)
	s.polkit.Forget()
	heard := s.listener.soFar()
	call := s.begin(s.caller, r, godbus.FlagAllowInteractiveAuthorization)
	s.polkit.Await(s.t, 1, 0)
	s.asked(r, action, polkit.AllowInteraction)
	s.unchanged(was, r.method+", while polkit asks")
	if len(call.Done) > 0 {
		s.t.Errorf("%s did not wait for polkit", r.method)
	}
	s.polkit.SetAllowed(action)
	s.end(r, call, heard)
	s.asked(r, action, polkit.AllowInteraction)
}

// asked: polkit got this one question.
func (s *story) asked(r row, action string, flags uint32) {
	s.t.Helper()
	calls := s.polkit.Calls()
	if len(calls) != 1 || calls[0].Kind != "system-bus-name" || calls[0].Subject != s.caller.Names()[0] ||
		calls[0].Action != action || calls[0].Flags != flags {
		s.t.Errorf("%s: polkit was asked %+v", r.method, calls)
	}
}
