package gate

import (
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
)

const (
	ourName = "org.qvmremote1"
	ourPath = godbus.ObjectPath("/org/qvmremote1")
	// strangers has no member here and need not be in /etc/group
	strangers = 65533
)

// door is a bus with the rules of a system bus and ours.
func door(t *testing.T, file, more string) *bus.Bus {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can own the name and connect as others")
	}
	file, err := filepath.Abs(file)
	if err != nil {
		t.Fatal(err)
	}
	return bus.Start(t, bus.Options{System: true, Includes: []string{file}, Policy: more})
}

// withGroup is our file with the group's place taken by a group of this
// machine.
func withGroup(t *testing.T) (file string, gid int) {
	t.Helper()
	g, err := user.LookupGroupId("1")
	if err != nil {
		t.Skipf("no group to put in the place of qubes: %v", err)
	}
	gid, err = strconv.Atoi(g.Gid)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(busFile)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "rules.conf")
	text = []byte(strings.ReplaceAll(string(text), `group="qubes"`, `group="`+g.Name+`"`))
	if err := os.WriteFile(file, text, 0o644); err != nil {
		t.Fatal(err)
	}
	return file, gid
}

// own makes a daemon's connection, which answers no call but with an error of
// its own.
func own(t *testing.T, b *bus.Bus) *godbus.Conn {
	t.Helper()
	conn := b.Connect(t)
	reply, err := conn.RequestName(ourName, godbus.NameFlagDoNotQueue)
	if err != nil || reply != godbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("root cannot own %s: %v, %v", ourName, reply, err)
	}
	return conn
}

func keptOut(err error) bool {
	var e godbus.Error
	return errors.As(err, &e) && e.Name == "org.freedesktop.DBus.Error.AccessDenied"
}

// calls the daemon with each interface, and reports where it gets through.
func reaches(t *testing.T, conn *godbus.Conn, iface string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	method := "Ping"
	if iface != "" {
		method = iface + ".Ping"
	}
	err := conn.Object(ourName, ourPath).CallWithContext(ctx, method, 0).Err
	if errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("calling %s ended in %v", iface, err)
	}
	return !keptOut(err)
}

func TestBusLetsInRootAndTheGroup(t *testing.T) {
	t.Parallel()
	file, gid := withGroup(t)
	b := door(t, file, "")
	own(t, b)
	for _, who := range []struct {
		name string
		conn *godbus.Conn
		in   bool
	}{
		{"root", b.Connect(t), true},
		{"a member of the group", b.ConnectAs(t, nobody, gid), true},
		{"a stranger", b.ConnectAs(t, nobody, strangers), false},
	} {
		for _, i := range reachable {
			if reaches(t, who.conn, i) != who.in {
				t.Errorf("%s gets through to %s: %v, want %v", who.name, i, !who.in, who.in)
			}
		}
		for _, i := range []string{"", "org.qvmremote1.Later", "org.freedesktop.DBus.Monitoring", "org.example.Other"} {
			if reaches(t, who.conn, i) {
				t.Errorf("%s gets through to %q", who.name, i)
			}
		}
	}
}

func TestBusGivesTheNameToRootAlone(t *testing.T) {
	t.Parallel()
	file, gid := withGroup(t)
	b := door(t, file, "")
	for _, group := range []int{gid, strangers} {
		if _, err := b.ConnectAs(t, nobody, group).RequestName(ourName, 0); !keptOut(err) {
			t.Errorf("a member of group %d asked for the name: %v", group, err)
		}
	}
	own(t, b)
}

// TestBusWithoutTheGroup: the file as it is does no harm where nobody is in
// group qubes, or there is none.
func TestBusWithoutTheGroup(t *testing.T) {
	t.Parallel()
	b := door(t, busFile, "")
	own(t, b)
	if !reaches(t, b.Connect(t), reachable[0]) {
		t.Error("root does not get through")
	}
	if reaches(t, b.ConnectAs(t, nobody, strangers), reachable[0]) {
		t.Error("a stranger gets through")
	}
}

// TestBusPassesSignalsOfRootAlone: systemd's reach the daemon, forged ones do
// not, neither sent to everybody nor to it.
func TestBusPassesSignalsOfRootAlone(t *testing.T) {
	t.Parallel()
	file, gid := withGroup(t)
	b := door(t, file, "")
	daemon := own(t, b)
	const iface = "org.freedesktop.systemd1.Manager"
	if err := daemon.AddMatchSignal(godbus.WithMatchInterface(iface)); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *godbus.Signal, 16)
	daemon.Signal(signals)
	for _, group := range []int{gid, strangers} {
		forger := b.ConnectAs(t, nobody, group)
		for _, to := range []string{"", ourName, daemon.Names()[0]} {
			signal(forger, to, iface, "Forged")
		}
		// The bus has dealt with a connection's signals once it answers it.
		if err := forger.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err; err != nil {
			t.Fatal(err)
		}
	}
	signal(b.Connect(t), "", iface, "Real")
	for late := time.After(time.Minute); ; {
		select {
		case s := <-signals:
			switch s.Name {
			case iface + ".Forged":
				t.Errorf("a forged signal came from %s", s.Sender)
			case iface + ".Real":
				return
			}
		case <-late:
			t.Fatal("root's signal did not come")
		}
	}
}

func signal(from *godbus.Conn, to, iface, member string) {
	headers := map[godbus.HeaderField]godbus.Variant{
		godbus.FieldPath:      godbus.MakeVariant(godbus.ObjectPath("/org/freedesktop/systemd1")),
		godbus.FieldInterface: godbus.MakeVariant(iface),
		godbus.FieldMember:    godbus.MakeVariant(member),
	}
	if to != "" {
		headers[godbus.FieldDestination] = godbus.MakeVariant(to)
	}
	from.Send(&godbus.Message{Type: godbus.TypeSignal, Headers: headers}, nil)
}

// TestPolkitsAnswerPassesTheBus: polkit runs as a user of its own, who may send
// the daemon nothing but answers to its questions.
func TestPolkitsAnswerPassesTheBus(t *testing.T) {
	t.Parallel()
	b := door(t, busFile, `<policy context="default">
		<allow own="`+polkitName+`"/><allow send_destination="`+polkitName+`"/></policy>`)
	s := &scene{bus: b, gate: New(own(t, b), table())}
	s.polkit = polkit.Serve(t, b.ConnectAs(t, nobody, strangers))
	s.polkit.SetAllowed(View)
	c := s.somebody(t)
	check(t, s.gate.Check(context.Background(), member(View), c), nil)
	check(t, s.gate.Check(context.Background(), member(ManageKeys), c), ErrRefused)
}
