package access

import (
	"slices"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
)

// TestWithoutPolkitOnlyRootPasses: members of the group are denied by name all
// that is not open, and nothing changes; root needs no polkit.
func TestWithoutPolkitOnlyRootPasses(t *testing.T) {
	t.Parallel()
	m := newMachine(t, false)
	key := string(m.keyIn("work").Reveal())
	m.ask("AuthorizeQubeWithString", "work", key, noOptions)
	m.has("work", "KeyState", "good")
	s := &story{machine: m, table: table(t), caller: m.connectMember()}
	was := m.everything()
	for member, action := range s.table {
		if action == gate.Open {
			continue
		}
		r := row{iface: member.Interface, method: member.Name, path: dbus.ManagerPath, args: func(*story) []any { return nil }}
		if member.Interface == dbus.QubeInterface {
			r.path = dbus.QubePath("work")
		}
		// Arguments make no difference to who is denied: whoever may not call a
		// method does not learn what it takes.
		for _, flags := range []godbus.Flags{0, godbus.FlagAllowInteractiveAuthorization} {
			if err := s.call(s.caller, r, flags).Err; errorName(err) != dbus.NotAuthorized.Name() {
				t.Errorf("%s by a member, without polkit: %v", member, err)
			}
		}
	}
	m.unchanged(was, "calls that were denied")
	m.ask("RevokeQube", "work", noOptions)
	m.has("work", "KeyState", "none")
	m.ask("Pause")
	m.paused(true)
	m.ask("EnableAtBoot", true)
	m.boots("enabled")
	m.ask("Doctor")
}

// TestWhatIsOpen: who comes through the bus's door reads properties and
// descriptions and writes nothing; nobody else gets that far.
func TestWhatIsOpen(t *testing.T) {
	t.Parallel()
	m := newMachine(t, true)
	member, stranger := m.connectMember(), m.bus.ConnectAs(t, nobody)
	for _, c := range []struct {
		iface, method string
		args          []any
		want          string // of a member
	}{
		{dbus.Introspectable, "Introspect", nil, ""},
		{dbus.Peer, "Ping", nil, ""},
		{dbus.Properties, "Get", []any{dbus.ManagerInterface, "State"}, ""},
		{dbus.Properties, "Get", []any{dbus.ManagerInterface, "Keys"}, dbus.NoSuchObject.Name()},
		{dbus.Properties, "GetAll", []any{dbus.ManagerInterface}, ""},
		{dbus.ObjectManager, "GetManagedObjects", nil, ""},
		{dbus.Properties, "Set", []any{dbus.ManagerInterface, "State", godbus.MakeVariant("running")}, dbus.ReadOnly.Name()},
		{dbus.ManagerInterface, "ListQubes", nil, ""},
		{dbus.ManagerInterface, "NoSuchMethod", nil, dbus.NoSuchObject.Name()},
		{"org.freedesktop.DBus.Debug.Stats", "GetStats", nil, accessDenied},
		{"", "ListQubes", nil, accessDenied}, // an interface must be named
	} {
		name := c.method
		if c.iface != "" {
			name = c.iface + "." + c.method
		}
		if err := manager(stranger).Call(name, 0, c.args...).Err; errorName(err) != accessDenied {
			t.Errorf("%s by nobody: %v", name, err)
		}
		if err := manager(member).Call(name, 0, c.args...).Err; errorName(err) != c.want {
			t.Errorf("%s by a member: %v, want %q", name, err, c.want)
		}
	}
	if err := manager(m.conn).Call(dbus.Properties+".Set", 0, dbus.ManagerInterface, "State", godbus.MakeVariant("running")).Err; errorName(err) != dbus.ReadOnly.Name() {
		t.Errorf("Set by root: %v", err)
	}
	if asked := m.polkit.Calls(); len(asked) != 0 {
		t.Errorf("polkit was asked %v", asked)
	}
	m.is(dbus.Stopped)
}

// TestTheRealPolicy: the file as it is installed, with its own group, which this
// machine may not have: strangers stay outside, and root comes in.
func TestTheRealPolicy(t *testing.T) {
	t.Parallel()
	m := newMachineWith(t, "../../packaging/dbus/org.qvmremote1.conf", false)
	for _, conn := range []*godbus.Conn{m.bus.ConnectAs(t, nobody), m.connectMember()} {
		for _, method := range []string{"ListQubes", "Doctor", "StopEverything"} {
			if err := manager(conn).Call(dbus.ManagerInterface+"."+method, 0).Err; errorName(err) != accessDenied {
				t.Errorf("%s by %v: %v", method, conn.Names(), err)
			}
		}
		if _, err := conn.RequestName(dbus.Name, godbus.NameFlagReplaceExisting); errorName(err) != accessDenied {
			t.Errorf("the name for %v: %v", conn.Names(), err)
		}
	}
	m.ask("Doctor")
}

// TestEveryActionIsUsed: what a person may be asked about is asked about.
func TestEveryActionIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, action := range table(t) {
		used[action] = true
	}
	for _, action := range append(gate.Actions(), gate.Open) {
		if !used[action] {
			t.Errorf("no method needs %s", action)
		}
	}
	for action := range used {
		if action != gate.Open && !slices.Contains(gate.Actions(), action) {
			t.Errorf("a method needs %q, which is no action", action)
		}
	}
}
