package access

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
	"qvmremote/test/bus/systemd"
	"qvmremote/test/sim"
)

// patience bounds every wait for something that comes at once on an idle
// machine.
const patience = time.Minute

// await polls until done reports true.
func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting: %s", what)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// nobody is a user of no group that matters.
const nobody = 65534

// machine is a simulated dom0 with its message bus, and on that a systemd that
// starts the program, and a polkit.
type machine struct {
	*sim.World
	t       *testing.T
	root    paths.Root
	bus     *bus.Bus
	systemd *systemd.Fake
	polkit  *polkit.Fake // nil where there is none
	member  *user.User   // stands for a member of the group qubes
	conn    *godbus.Conn // root's
	units   map[string]*systemd.Program
}

// newMachine makes a machine with a manager that runs, and the qubes "work" and
// "personal", both running with our client; work has made itself a key.
func newMachine(t *testing.T, withPolkit bool) *machine {
	t.Helper()
	return newMachineWith(t, "", withPolkit)
}

// newMachineWith is newMachine with a file of bus policy, "" for that of [machine.rules].
func newMachineWith(t *testing.T, policy string, withPolkit bool) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("NOT RUN: only root can call as others than itself")
	}
	w := sim.New(t)
	m := &machine{World: w, t: t, root: paths.Root(w.Dom0()), units: map[string]*systemd.Program{}}
	var err error
	m.member, err = user.Lookup("daemon")
	must(t, err)
	if policy == "" {
		policy = m.rules()
	}
	policy, err = filepath.Abs(policy)
	must(t, err)
	m.bus = bus.Start(t, bus.Options{System: true, Includes: []string{policy}, Policy: others})
	m.conn = m.bus.Connect(t)
	if withPolkit {
		m.polkit = polkit.Start(t, m.bus)
	}
	m.systemd = systemd.Start(t, m.bus)
	for _, unit := range []string{admin.Service, admin.ManageService} {
		m.units[unit] = m.program(unit)
		m.systemd.AddProgram(unit, m.units[unit])
	}
	t.Cleanup(m.end)
	for _, name := range []string{"work", "personal"} {
		m.Qube(name, sim.Running).Install(programs.Client, "qvm-remote")
	}
	m.in("work", "qvm-remote", "key", "gen")
	must(t, m.units[admin.ManageService].Start())
	return m
}

// others is what the packages of polkit and systemd allow, and the bus's own
// rules for root.
const others = `
  <policy user="root"><allow own="org.freedesktop.PolicyKit1"/><allow own="org.freedesktop.systemd1"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/></policy>
  <policy context="default"><allow send_destination="org.freedesktop.PolicyKit1"/><allow send_destination="org.freedesktop.systemd1"/></policy>`

// rules is the file of bus policy that is installed, with a group of this
// machine in place of "qubes".
func (m *machine) rules() string {
	text, err := os.ReadFile("../../packaging/dbus/org.qvmremote1.conf")
	must(m.t, err)
	group, err := user.LookupGroupId(m.member.Gid)
	must(m.t, err)
	changed := strings.Replace(string(text), `group="qubes"`, `group="`+group.Name+`"`, 1)
	if changed == string(text) {
		m.t.Fatal("the bus policy does not name the group qubes")
	}
	name := filepath.Join(m.Dir, "bus.conf")
	must(m.t, os.WriteFile(name, []byte(changed), 0o644))
	return name
}

// connectMember connects somebody of the group qubes.
func (m *machine) connectMember() *godbus.Conn {
	m.t.Helper()
	uid, err := strconv.Atoi(m.member.Uid)
	must(m.t, err)
	gid, err := strconv.Atoi(m.member.Gid)
	must(m.t, err)
	return m.bus.ConnectAs(m.t, uid, gid)
}

// manager is the manager's object as conn sees it.
func manager(conn *godbus.Conn) godbus.BusObject { return conn.Object(dbus.Name, dbus.ManagerPath) }

// ask calls a method of the manager as root.
func (m *machine) ask(method string, args ...any) *godbus.Call {
	m.t.Helper()
	call := manager(m.conn).Call(dbus.ManagerInterface+"."+method, 0, args...)
	if call.Err != nil {
		m.t.Fatalf("%s: %v", method, call.Err)
	}
	return call
}

// state is the property State.
func (m *machine) state() string {
	v, err := manager(m.conn).GetProperty(dbus.ManagerInterface + ".State")
	if err != nil {
		return err.Error()
	}
	s, _ := v.Value().(string)
	return s
}

// property is one of a qube's properties, nil where it cannot be had.
func (m *machine) property(vm, name string) any {
	v, err := m.conn.Object(dbus.Name, dbus.QubePath(vm)).GetProperty(dbus.QubeInterface + "." + name)
	if err != nil {
		return nil
	}
	return v.Value()
}

// in runs a program in a qube and returns its output.
func (m *machine) in(vm string, argv ...string) string {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	cmd := m.Get(vm).Command(ctx, argv...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		m.t.Fatalf("in %s: %q: %v\n%s", vm, argv, err, errs.String())
	}
	return out.String()
}

// keyIn is the key that a qube has.
func (m *machine) keyIn(vm string) queue.Key {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.Get(vm).Home(), queue.FolderName, "auth.key"))
	must(m.t, err)
	k, err := queue.ParseKey(b)
	must(m.t, err)
	return k
}

// program is what a unit runs.
func (m *machine) program(unit string) *systemd.Program {
	args := []string{"--root", m.Dom0()}
	if unit == admin.ManageService {
		args = append(args, "--manage", "--idle", "1h")
	}
	return &systemd.Program{Command: func() *exec.Cmd {
		cmd := m.Dom0Command(context.Background(), programs.Dom0, args...)
		cmd.Env = append(cmd.Env, paths.BusVar+"="+m.bus.Address)
		return cmd
	}}
}

// end stops everything that runs, as a machine that shuts down. An executor
// starts a manager as it ends, so that is last.
func (m *machine) end() {
	for _, unit := range []string{admin.Service, admin.ManageService} {
		if err := m.units[unit].Close(); err != nil {
			m.t.Errorf("%s: %v", unit, err)
		}
	}
	for unit, p := range m.units {
		if text := p.Said(); m.t.Failed() || strings.Contains(text, "panic:") || strings.Contains(text, "DATA RACE") {
			m.t.Errorf("%s said:\n%s", unit, text)
		}
	}
}
