package bus_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
)

const (
	name  = "org.example.Thing"
	iface = "org.example.Thing1"
	path  = dbus.ObjectPath("/org/example/Thing")
)

// thing answers with its caller's unique name.
type thing struct{}

func (thing) Who(sender dbus.Sender) (string, *dbus.Error) { return string(sender), nil }

func serve(t *testing.T, conn *dbus.Conn) {
	t.Helper()
	if err := conn.Export(thing{}, path, iface); err != nil {
		t.Fatal(err)
	}
	own(t, conn)
}

func own(t *testing.T, conn *dbus.Conn) {
	t.Helper()
	reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", name, reply, err)
	}
}

func call(conn *dbus.Conn) (who string, err error) {
	err = conn.Object(name, path).Call(iface+".Who", 0).Store(&who)
	return who, err
}

func denied(err error) bool {
	var e dbus.Error
	return errors.As(err, &e) && e.Name == "org.freedesktop.DBus.Error.AccessDenied"
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can connect as somebody else")
	}
}

func uidOf(t *testing.T, asking, asked *dbus.Conn) (uid uint32) {
	t.Helper()
	err := asking.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixUser", 0, asked.Names()[0]).Store(&uid)
	if err != nil {
		t.Fatal(err)
	}
	return uid
}

func TestCallsAndSignalsPass(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	server, client := b.Connect(t), b.Connect(t)
	serve(t, server)
	if who, err := call(client); err != nil || who != client.Names()[0] {
		t.Errorf("called as %s, the callee saw %q: %v", client.Names()[0], who, err)
	}
	if err := client.AddMatchSignal(dbus.WithMatchInterface(iface)); err != nil {
		t.Fatal(err)
	}
	signals := make(chan *dbus.Signal, 1)
	client.Signal(signals)
	if err := server.Emit(path, iface+".Changed", "x"); err != nil {
		t.Fatal(err)
	}
	for late := time.After(time.Minute); ; {
		select {
		case s := <-signals:
			if s.Name == iface+".Changed" {
				return
			}
		case <-late:
			t.Fatal("no signal came")
		}
	}
}

func TestConnectAsAnotherUser(t *testing.T) {
	t.Parallel()
	asRoot(t)
	b := bus.Start(t)
	root, nobody := b.Connect(t), b.ConnectAs(t, 65534)
	if uid := uidOf(t, root, nobody); uid != 65534 {
		t.Errorf("the bus takes the caller for user %d", uid)
	}
	if uid := uidOf(t, root, b.Connect(t)); uid != 0 {
		t.Errorf("a later connection is user %d's, not root's", uid)
	}
	own(t, nobody)
}

func TestOnlyAllowedUsersConnect(t *testing.T) {
	t.Parallel()
	asRoot(t)
	b := bus.Start(t, bus.Options{AllowUsers: []string{"nobody"}})
	b.Connect(t)
	b.ConnectAs(t, 65534)
	if !failsIn(func(t testing.TB) { b.ConnectAs(t, 65533) }) {
		t.Error("a user who may not connect did")
	}
}

// unlucky notes a failure instead of failing the test.
type unlucky struct {
	testing.TB
	failed bool
}

func (u *unlucky) Helper()               {}
func (u *unlucky) Cleanup(func())        {}
func (u *unlucky) Fatalf(string, ...any) { u.failed = true; panic(u) }

func failsIn(what func(t testing.TB)) bool {
	u := &unlucky{}
	func() {
		defer func() { _ = recover() }()
		what(u)
	}()
	return u.failed
}

func TestPolicyIsHeeded(t *testing.T) {
	t.Parallel()
	b := bus.Start(t, bus.Options{
		Policy: `<policy context="default"><deny send_destination="` + name + `" send_type="method_call"/></policy>`,
	})
	serve(t, b.Connect(t))
	if _, err := call(b.Connect(t)); !denied(err) {
		t.Errorf("a call that the policy denies: %v", err)
	}
}

func TestSystemRulesDenyWhatNoPackageAllows(t *testing.T) {
	t.Parallel()
	strict := bus.Start(t, bus.Options{System: true})
	if _, err := strict.Connect(t).RequestName(name, 0); !denied(err) {
		t.Errorf("owning a name without a rule: %v", err)
	}

	rules := filepath.Join(t.TempDir(), "thing.conf")
	text := `<busconfig><policy context="default"><allow own="` + name + `"/></policy></busconfig>`
	if err := os.WriteFile(rules, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b := bus.Start(t, bus.Options{System: true, Includes: []string{rules}})
	serve(t, b.Connect(t))
	if _, err := call(b.Connect(t)); !denied(err) {
		t.Errorf("calling without a rule: %v", err)
	}
}

func TestActivation(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	word := `a b'c\d"$e`
	b.Activatable(t, name, self, []string{word}, []string{"BUS_TEST_SERVE=" + name})
	var got string
	if err := b.Connect(t).Object(name, path).Call(iface+".Argument", 0).Store(&got); err != nil {
		t.Fatal(err)
	}
	if got != word {
		t.Errorf("the program was started with %q, want %q", got, word)
	}
}

func TestStopBreaksConnections(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	conn := b.Connect(t)
	b.Stop()
	select {
	case <-conn.Context().Done():
	case <-time.After(time.Minute):
		t.Error("the connection outlives its bus")
	}
	b.Stop()
	dir, _, _ := strings.Cut(strings.TrimPrefix(b.Address, "unix:path="), "/socket")
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("the folder went before the test did: %v", err)
	}
}

// argued tells with what argument its program was started.
type argued struct{}

func (argued) Argument() (string, *dbus.Error) { return os.Args[1], nil }

// TestMain lets the bus start this program as a service.
func TestMain(m *testing.M) {
	if os.Getenv("BUS_TEST_SERVE") == "" {
		os.Exit(m.Run())
	}
	conn, err := dbus.Connect(os.Getenv("DBUS_STARTER_ADDRESS"))
	if err != nil {
		panic(err)
	}
	if err := conn.Export(argued{}, path, iface); err != nil {
		panic(err)
	}
	if _, err := conn.RequestName(os.Getenv("BUS_TEST_SERVE"), 0); err != nil {
		panic(err)
	}
	<-conn.Context().Done()
}
