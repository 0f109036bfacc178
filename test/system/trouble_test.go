//go:build system

package system

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"qvmremote/dbus"
)

// sandboxed: the manager, in the sandbox of its unit, does all that it is asked
// for: it reaches a qube, makes a key there, and writes keys and records.
func (d *dom0) sandboxed(t *testing.T) {
	out, err := d.call("", "GenerateKey", "sa{sv}", "work", "1", "replace", "b", "true")
	if err != nil {
		t.Fatalf("GenerateKey: %v", err)
	}
	shown := d.Must(t, "qubes-sim", "-w", simWorld, "in", "work", "qvm-remote", "key", "show")
	d.secrets = append(d.secrets, lastKey(shown))
	told, err := d.call("", "FetchKey", "s", "work")
	// "s FINGERPRINT" and "sas FINGERPRINT 0"
	if told = strings.TrimPrefix(strings.TrimSpace(told), "s "); err != nil || told == "" || !strings.Contains(out, told) {
		t.Errorf("the qube has the key %q (%v), dom0 made %q", told, err, out)
	}
	if out, err := d.call("", "Doctor"); err != nil {
		t.Errorf("Doctor: %v %s", err, out)
	}
	if out, err := d.call("", "VerifyAudit", "as", "0"); err != nil || !strings.HasPrefix(out, "bttas true ") {
		t.Errorf("VerifyAudit: %v %s", err, out)
	}
	for path, want := range map[string]string{
		"/etc/qubes/remote.d/work.key": "600 root root", "/var/lib/qvm-remote": "700 root root",
		"/run/qvm-remote": "700 root root", "/var/log/qubes/qvm-remote.log": "640 root qubes",
	} {
		if got := d.Must(t, "stat", "--format=%a %U %G", path); got != want {
			t.Errorf("%s is %s, want %s", path, got, want)
		}
	}
	d.active(t, "inactive", "active")
}

// refusesToStart: what keeps the executor from starting is told, and the
// manager goes on answering.
func (d *dom0) refusesToStart(t *testing.T) {
	d.does(t, "Stop")
	d.stopped(t)
	const conf = "/etc/qubes/remote.conf"
	d.Must(t, "sh", "-c", "echo QVM_REMOTE_CONCURRENT=many >>"+conf)
	owners := d.watchOwners(t)
	if got := d.denied("", "Start"); got != busName+".Error.StartFailed" && got != busName+".Error.BadSettings" {
		t.Errorf("Start with broken settings: %q", got)
	}
	d.has(t, "State", `s "stopped"`)
	owners.noGap(t)
	if said := d.Journal(t, 30, executorUnit); !strings.Contains(said, "QVM_REMOTE_CONCURRENT") {
		t.Errorf("the journal does not say why:\n%s", said)
	}
	d.Must(t, "sed", "-i", "/CONCURRENT=many/d", conf)
	d.does(t, "Start")
	d.has(t, "State", `s "running"`)
	d.runs(t)
}

// stopsEverything: no process of a command outlives it, wherever it went.
func (d *dom0) stopsEverything(t *testing.T) {
	wait := d.remote(t, `setsid sh -c 'setsid sleep 7502 </dev/null >/dev/null 2>&1 & exec sleep 7502' &
		touch /run/everything; sleep 7502`)
	d.begun(t, "/run/everything")
	d.until(t, "the command's three processes", func() error {
		if n := d.count("7502"); n < 3 {
			return fmt.Errorf("%d of them", n)
		}
		return nil
	})
	d.does(t, "StopEverything")
	if n := d.count("sleep\" \"7502"); n != 0 {
		t.Errorf("%d processes of the command are left: %q", n, d.Processes())
	}
	if a := wait(); a.exit != 125 {
		t.Errorf("the qube was told: exit %d, %q, %q", a.exit, a.out, a.err)
	}
	d.has(t, "State", `s "paused"`)
	d.Must(t, "systemctl", "restart", executorUnit)
	d.has(t, "State", `s "paused"`)
	d.does(t, "Resume")
	d.has(t, "State", `s "running"`)
	d.runs(t)
}

// again: what keeps systemd from starting a broken service for ever does not
// keep a person from starting and stopping a good one. It is enabled, for
// systemd forgets how often a unit was started that nothing refers to.
func (d *dom0) again(t *testing.T) {
	d.does(t, "EnableAtBoot", "b", "true")
	for range 7 {
		d.does(t, "Stop")
		d.stopped(t)
		d.does(t, "Start")
		d.has(t, "State", `s "running"`)
	}
	d.runs(t)
	d.does(t, "DisableAtBoot")
}

// count is how many processes of the machine have this among their arguments.
func (d *dom0) count(text string) int {
	n := 0
	for _, p := range d.Processes() {
		if strings.Contains(p, text) {
			n++
		}
	}
	return n
}

// stopped waits until the executor's process is gone.
func (d *dom0) stopped(t *testing.T) {
	t.Helper()
	d.until(t, "the executor is gone", func() error {
		if s := d.unit(t, executorUnit, "ActiveState"); s != "inactive" {
			return errors.New(s)
		}
		return nil
	})
	d.has(t, "State", `s "stopped"`)
}

// subscribed: who has subscribed never finds nobody on the other side, not even
// when the executor is killed, and keeps the manager from leaving.
func (d *dom0) subscribed(t *testing.T) {
	ctx := t.Context()
	c, err := dbus.Dial(ctx, fmt.Sprintf("unix:path=/proc/%d/root/run/dbus/system_bus_socket", d.leader))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	d.does(t, "Stop")
	d.stopped(t)
	if err := c.Subscribe(ctx); err != nil {
		t.Fatalf("Subscribe: %v", err)
	}
	d.does(t, "Start")
	d.has(t, "State", `s "running"`)
	d.runs(t)
	owners := d.watchOwners(t)
	d.signal(t, "KILL")
	// a call that the executor had when it died is lost; the next one is not
	d.until(t, "the manager answers for the executor that was killed", func() error {
		m, err := c.ReadManager(ctx)
		if err == nil && m.State != dbus.Stopped {
			err = errors.New(m.State)
		}
		return err
	})
	d.has(t, "State", `s "running"`)
	owners.unbroken(t)
	d.Must(t, "systemctl", "reset-failed", executorUnit)
}

// busRestarts: a message bus that is started again takes no command along, and
// finds the executor back on it.
func (d *dom0) busRestarts(t *testing.T) {
	old := d.unit(t, executorUnit, "MainPID")
	wait := d.remote(t, "touch /run/bus; while [ -e /run/bus ]; do sleep 0.1; done; echo whole")
	d.begun(t, "/run/bus")
	d.Must(t, "systemctl", "restart", "dbus.service")
	// of others on the bus some do not come back by themselves
	d.Must(t, "systemctl", "try-restart", "systemd-logind.service", "polkit.service")
	d.has(t, "State", `s "running"`)
	d.has(t, "Running", "u 1")
	d.Must(t, "rm", "/run/bus")
	if a := wait(); a.exit != 0 || a.out != "whole\n" {
		t.Errorf("the running command: exit %d, %q, %q", a.exit, a.out, a.err)
	}
	d.runs(t)
	d.does(t, "Pause")
	d.has(t, "State", `s "paused"`)
	d.does(t, "Resume")
	d.has(t, "State", `s "running"`)
	if now := d.unit(t, executorUnit, "MainPID"); now != old {
		t.Errorf("the executor's pid was %s and is %s", old, now)
	}
}

// bootsInTheMiddle: a machine that is shut down under a running command does
// not run it again, and its qube is told after the boot.
func (d *dom0) bootsInTheMiddle(t *testing.T) {
	d.dropIn(t, executorUnit, "Environment=QVM_REMOTE_STOP_WAIT=1")
	d.Must(t, "systemctl", "restart", executorUnit)
	id := strings.TrimSpace(d.Must(t, "qubes-sim", "-w", simWorld, "in", "work", "qvm-remote", "--detach",
		"echo began >>/var/tmp/middle; touch /run/middle; sleep 7503"))
	d.begun(t, "/run/middle")
	d.Reboot(t)
	d.has(t, "State", `s "running"`)
	out, err := d.Run("qubes-sim", "-w", simWorld, "in", "work", "qvm-remote", "wait", id)
	if err == nil || !strings.Contains(err.Error(), "exit status 125") {
		t.Errorf("the qube asks for the result after the boot: %q, %v", out, err)
	}
	if got := d.Must(t, "cat", "/var/tmp/middle"); got != "began" {
		t.Errorf("the command began this often: %q", got)
	}
	if out, err := d.call("", "VerifyAudit", "as", "0"); err != nil || !strings.HasPrefix(out, "bttas true ") {
		t.Errorf("VerifyAudit: %v %s", err, out)
	}
	d.runs(t)
}

// typed: the command line asks for a typed yes, and then does both.
func (d *dom0) typed(t *testing.T) {
	d.does(t, "Stop")
	d.stopped(t)
	for _, c := range [][2]string{{"YES", "disabled inactive"}, {"yes", "enabled active"}} {
		answer, want := c[0], c[1]
		out, err := d.Run("sh", "-c", `echo "$1" | qvm-remote-dom0 enable`, "sh", answer)
		got := d.unit(t, executorUnit, "UnitFileState") + " " + d.unit(t, executorUnit, "ActiveState")
		if got != want {
			t.Errorf("after %q the executor is %s, want %s: %v %s", answer, got, want, err, out)
		}
	}
	d.Must(t, "qvm-remote-dom0", "disable")
	if got := d.unit(t, executorUnit, "UnitFileState"); got != "disabled" {
		t.Errorf("after disable the executor is %s", got)
	}
	d.stopped(t)
	d.does(t, "Start")
}
