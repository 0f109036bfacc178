//go:build system

package system

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/test/executable"
)

// Our units, and our name on the bus.
const (
	executorUnit = "qvm-remote-dom0.service"
	managerUnit  = "qvm-remote-manage.service"
	busName      = "org.qvmremote1"
	busPath      = "/org/qvmremote1"
	managerIface = "org.qvmremote1.Manager"
)

// The two message buses that serve as system bus. Fedora, and with it dom0, has
// the broker; Debian has the other.
const (
	dbusDaemon = "dbus.service"
	dbusBroker = "dbus-broker.service"
)

// Where the simulated Qubes OS lies in the machine.
const (
	simWorld   = "/var/lib/qubes-sim"
	simProgram = "/usr/lib/qubes-sim/qubes-sim"
	clientFile = "/usr/lib/qubes-sim/qvm-remote"
)

// qubesd starts the simulated qubes where the real one's unit would, in the
// order that our units ask for.
const qubesd = `[Unit]
Description=Simulated Qubes OS
[Service]
Type=forking
ExecStart=` + simWorld + `/dom0/bin/qubes-sim -w ` + simWorld + ` up
ExecStartPost=` + simWorld + `/dom0/bin/qubes-sim -w ` + simWorld + ` start work
ExecStop=` + simWorld + `/dom0/bin/qubes-sim -w ` + simWorld + ` down
[Install]
WantedBy=multi-user.target
`

// The simulated tools write down their calls; the real ones have no such need.
const simAccess = "[Service]\nReadWritePaths=" + simWorld + "\n"

// dom0 is a machine with everything in it: simulated Qubes OS, one running
// qube "work" with our client, and what `make install-dom0` installs.
type dom0 struct {
	*Machine
	installed string   // the tree that was installed
	secrets   []string // the keys that qube work has had
}

// newDom0 boots a machine with that message bus and installs all of the tree, as
// a package's scripts would.
func newDom0(t *testing.T, tree, bus string) *dom0 {
	t.Helper()
	d := &dom0{installed: tree}
	d.Machine = Boot(t)
	if bus == dbusBroker {
		d.Must(t, "systemctl", "enable", dbusBroker)
		d.Reboot(t)
	}
	d.Must(t, "systemctl", "is-active", bus)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the journal's end:\n%s", d.Journal(t, 100, executorUnit, managerUnit, bus))
		}
	})
	d.placeQubes(t)
	d.upgrade(t)
	d.WriteFile(t, "/etc/systemd/system/"+managerUnit+".d/sim.conf", simAccess)
	d.Must(t, "systemctl", "daemon-reload")
	return d
}

// build makes the tree that is installed.
func build(t *testing.T) string {
	t.Helper()
	tree := filepath.Join(t.TempDir(), "tree")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, argv := range [][]string{
		{"make", "--no-print-directory", "build", "install-dom0", "DESTDIR=" + tree},
		{"go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(tree, clientFile), "./cmd/qvm-remote"},
		{"go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(tree, simProgram), "./test/sim/cmd/qubes-sim"},
	} {
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		// a make above this one must not lend its job server
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), "CGO_ENABLED=0", "MAKEFLAGS=", "MAKELEVEL=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
		}
	}
	return tree
}

// placeQubes makes the simulated Qubes OS a part of the machine.
func (d *dom0) placeQubes(t *testing.T) {
	t.Helper()
	only := filepath.Join(t.TempDir(), "sim")
	for _, f := range []string{simProgram, clientFile} {
		if err := os.MkdirAll(filepath.Join(only, filepath.Dir(f)), 0o755); err != nil {
			t.Fatal(err)
		}
		// No link: another machine may be packing that file, and tar complains of
		// one whose number of links changes.
		b, err := os.ReadFile(filepath.Join(d.installed, f))
		if err == nil {
			err = executable.Write(filepath.Join(only, f), b)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	d.Install(t, only)
	d.Must(t, "install", "-d", "/etc/qubes") // every dom0 has it
	d.Must(t, simProgram, "new", simWorld)
	for _, argv := range [][]string{{"create", "work:red"}, {"create", "personal:yellow"},
		{"install", "work", clientFile}, {"install", "personal", clientFile}, {"down"}} {
		d.Must(t, append([]string{simWorld + "/dom0/bin/qubes-sim", "-w", simWorld}, argv...)...)
	}
	for _, tool := range []string{"qvm-run", "qvm-ls", "qvm-check", "qvm-prefs", "qrexec-client", "qubes-sim"} {
		d.Must(t, "ln", "-s", simWorld+"/dom0/bin/"+tool, "/usr/bin/"+tool)
	}
	d.WriteFile(t, "/etc/systemd/system/qubesd.service", qubesd)
	d.Must(t, "systemctl", "daemon-reload")
	d.Must(t, "systemctl", "enable", "--now", "qubesd.service")
}

// upgrade installs over what is there and does what a package's script does.
func (d *dom0) upgrade(t *testing.T) {
	t.Helper()
	d.Install(t, d.installed)
	d.Must(t, "systemctl", "daemon-reload")
	d.Must(t, "busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "ReloadConfig")
}

// authorize has the qube make a key and dom0 accept it.
func (d *dom0) authorize(t *testing.T) {
	t.Helper()
	out := d.Must(t, "qubes-sim", "-w", simWorld, "in", "work", "qvm-remote", "key", "gen")
	key := lastKey(out)
	if key == "" {
		t.Fatal("the qube's client printed no key")
	}
	d.secrets = append(d.secrets, key)
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := d.Command(ctx, "", "qvm-remote-dom0", "authorize", "work")
	cmd.Stdin = strings.NewReader(key + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("authorize: %v\n%s", err, out)
	}
}

// lastKey is the last word of a text that could be a key.
func lastKey(text string) (key string) {
	for _, word := range strings.Fields(text) {
		if len(word) == 64 {
			key = word
		}
	}
	return key
}

// answer is what a qube's client printed and how it ended.
type answer struct {
	out, err string
	exit     int
}

// remote starts qvm-remote in the qube work and returns what gives its answer.
func (d *dom0) remote(t *testing.T, script string) func() answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	var out, complaint tail
	cmd := d.Command(ctx, "", "qubes-sim", "-w", simWorld, "in", "work", "qvm-remote", script)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() answer {
		t.Helper()
		err := cmd.Wait()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
			t.Fatalf("qvm-remote in the qube: %v, %v\n%s", err, ctx.Err(), &complaint)
		}
		return answer{out.String(), complaint.String(), cmd.ProcessState.ExitCode()}
	}
}

// runs fails the test unless a command from the qube runs in this dom0.
func (d *dom0) runs(t *testing.T) {
	t.Helper()
	if a := d.remote(t, "id -u; cat /etc/hostname")(); a.exit != 0 || a.out != "0\ndom0\n" {
		t.Fatalf("a command from the qube: exit %d, %q, %q", a.exit, a.out, a.err)
	}
}

// begun waits until a script that makes this file has begun.
func (d *dom0) begun(t *testing.T, file string) {
	t.Helper()
	d.until(t, "a command begins", func() error {
		_, err := d.Run("test", "-e", file)
		return err
	})
}

// until polls for what takes a moment.
func (d *dom0) until(t *testing.T, what string, try func() error) {
	t.Helper()
	if err := poll(commandTime, try); err != nil {
		t.Fatalf("not in time: %s: %v", what, err)
	}
}

// unit reads a property of a unit from systemd.
func (d *dom0) unit(t *testing.T, unit, property string) string {
	t.Helper()
	return d.Must(t, "systemctl", "show", "--property="+property, "--value", unit)
}

// signal sends a signal to the executor alone.
func (d *dom0) signal(t *testing.T, name string) {
	t.Helper()
	d.Must(t, "systemctl", "kill", "--kill-whom=main", "--signal="+name, executorUnit)
}

// active fails the test unless the units are in these states.
func (d *dom0) active(t *testing.T, executor, manager string) {
	t.Helper()
	if got := d.unit(t, executorUnit, "ActiveState"); got != executor {
		t.Errorf("the executor is %s, want %s", got, executor)
	}
	if got := d.unit(t, managerUnit, "ActiveState"); got != manager {
		t.Errorf("the manager is %s, want %s", got, manager)
	}
}

// property reads a property from the bus as the user.
func (d *dom0) property(user, name string) (string, error) {
	out, err := d.RunAs(user, "busctl", "get-property", busName, busPath, managerIface, name)
	return strings.TrimSpace(out), err
}

// has waits until the property reads so, as busctl prints it.
func (d *dom0) has(t *testing.T, name, want string) {
	t.Helper()
	d.until(t, name+" is "+want, func() error {
		got, err := d.property("", name)
		if err == nil && got != want {
			err = fmt.Errorf("%s is %s", name, got)
		}
		return err
	})
}

// call calls a method as the user; args are as busctl takes them.
func (d *dom0) call(user, method string, args ...string) (string, error) {
	return d.RunAs(user, append([]string{"busctl", "--timeout=60", "call", busName, busPath, managerIface, method}, args...)...)
}

// does is call as root for what has to work.
func (d *dom0) does(t *testing.T, method string, args ...string) {
	t.Helper()
	if _, err := d.call("", method, args...); err != nil {
		t.Fatal(err)
	}
}

// denied calls a method as the user and returns the name of the error, which
// busctl does not tell; "" if there was none. args are as dbus-send takes them.
func (d *dom0) denied(user, method string, args ...string) string {
	_, err := d.RunAs(user, append([]string{"dbus-send", "--system", "--print-reply", "--dest=" + busName, busPath,
		managerIface + "." + method}, args...)...)
	if err == nil {
		return ""
	}
	if _, rest, ok := strings.Cut(err.Error(), "Error "); ok {
		name, _, _ := strings.Cut(rest, ":")
		return name
	}
	return err.Error()
}
