//go:build system

package system

import (
	"fmt"
	"strings"
	"testing"
)

// TestLife goes through the life of an installed dom0, in the order in which it
// would happen, on one machine for each of the message buses. Each part leaves
// the executor running.
func TestLife(t *testing.T) {
	tree := build(t)
	for name, bus := range map[string]string{"dbus-daemon": dbusDaemon, "dbus-broker": dbusBroker} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			live(t, newDom0(t, tree, bus))
		})
	}
}

func live(t *testing.T, d *dom0) {
	parts := []struct {
		name string
		run  func(*dom0, *testing.T)
	}{
		{"not enabled after installation", (*dom0).notEnabled},
		{"a call activates the manager, never the executor", (*dom0).activation},
		{"who may ask", (*dom0).access},
		{"the manager works in its sandbox", (*dom0).sandboxed},
		{"start, and a command runs", (*dom0).start},
		{"stop lets a command end and leaves no gap", (*dom0).stop},
		{"start and stop, time and again", (*dom0).again},
		{"an executor that cannot start says why", (*dom0).refusesToStart},
		{"an executor that is killed comes back and reports", (*dom0).killed},
		{"a subscriber never finds nobody", (*dom0).subscribed},
		{"stop everything", (*dom0).stopsEverything},
		{"an upgrade leaves a running command alone", (*dom0).upgraded},
		{"the bus is started again", (*dom0).busRestarts},
		{"an executor that hangs is started again", (*dom0).hung},
		{"the manager leaves when nobody needs it", (*dom0).idle},
		{"enabled with accepted risk, it runs after a boot", (*dom0).enabled},
		{"a boot in the middle of a command", (*dom0).bootsInTheMiddle},
		{"disabled, it does not", (*dom0).disabled},
		{"the command line asks for a typed yes", (*dom0).typed},
		{"the journal has the records and no secret", (*dom0).journal},
	}
	for _, p := range parts {
		if !t.Run(p.name, func(t *testing.T) { p.run(d, t) }) {
			t.Fatal("the parts after this one build on it")
		}
	}
}

func (d *dom0) notEnabled(t *testing.T) {
	d.active(t, "inactive", "inactive")
	if got := d.unit(t, executorUnit, "UnitFileState"); got != "disabled" {
		t.Errorf("the executor is %s", got)
	}
	if got := d.unit(t, managerUnit, "UnitFileState"); got != "static" {
		t.Errorf("the manager is %s", got)
	}
	if out, err := d.Run("systemd-analyze", "verify", "--man=no",
		"/usr/lib/systemd/system/"+executorUnit, "/usr/lib/systemd/system/"+managerUnit); err != nil || out != "" {
		t.Errorf("systemd-analyze verify: %v %s", err, out)
	}
	d.Reboot(t)
	d.active(t, "inactive", "inactive")
}

func (d *dom0) activation(t *testing.T) {
	d.has(t, "State", `s "stopped"`)
	d.active(t, "inactive", "active")
	d.authorize(t)
	d.has(t, "StartsAtBoot", "b false")
	d.active(t, "inactive", "active")
}

func (d *dom0) start(t *testing.T) {
	owners := d.watchOwners(t)
	d.does(t, "Start")
	d.has(t, "State", `s "running"`)
	if got := d.unit(t, executorUnit, "ActiveState"); got != "active" {
		t.Errorf("the executor is %s", got)
	}
	pid, err := d.property("", "Pid")
	if want := "u " + d.unit(t, executorUnit, "MainPID"); err != nil || pid != want {
		t.Errorf("Pid is %s, systemd says %s, %v", pid, want, err)
	}
	d.runs(t)
	d.has(t, "StartsAtBoot", "b false")
	owners.unbroken(t)
}

func (d *dom0) stop(t *testing.T) {
	owners := d.watchOwners(t)
	wait := d.remote(t, "touch /run/stop; sleep 2; echo ended")
	d.begun(t, "/run/stop")
	d.does(t, "Stop")
	if a := wait(); a.exit != 0 || a.out != "ended\n" {
		t.Errorf("a command that was running: exit %d, %q, %q", a.exit, a.out, a.err)
	}
	d.stopped(t)
	d.active(t, "inactive", "active")
	owners.unbroken(t)
	d.does(t, "Start")
	d.has(t, "State", `s "running"`)
}

func (d *dom0) killed(t *testing.T) {
	wait := d.remote(t, "touch /run/killed; sleep 7501; echo survived")
	d.begun(t, "/run/killed")
	old := d.unit(t, executorUnit, "MainPID")
	d.signal(t, "KILL")
	if a := wait(); a.exit != 125 || strings.Contains(a.out, "survived") || !strings.Contains(a.err, "interrupted") {
		t.Errorf("the qube was told: exit %d, %q, %q", a.exit, a.out, a.err)
	}
	d.has(t, "State", `s "running"`)
	if now := d.unit(t, executorUnit, "MainPID"); now == old || now == "0" {
		t.Errorf("the executor's pid was %s and is %s", old, now)
	}
	for _, p := range d.Processes() {
		if strings.Contains(p, "7501") {
			t.Errorf("a process of the command is left: %s", p)
		}
	}
	d.runs(t)
	d.Must(t, "systemctl", "reset-failed", executorUnit)
}

func (d *dom0) upgraded(t *testing.T) {
	old := d.unit(t, executorUnit, "MainPID")
	wait := d.remote(t, "touch /run/upgrade; while [ -e /run/upgrade ]; do sleep 0.1; done; echo whole")
	d.begun(t, "/run/upgrade")
	d.upgrade(t)
	if exe := d.Must(t, "readlink", "/proc/"+old+"/exe"); !strings.HasSuffix(exe, "(deleted)") {
		t.Fatalf("the program was not replaced: %s", exe)
	}
	d.has(t, "State", `s "running"`)
	if now := d.unit(t, executorUnit, "MainPID"); now != old {
		t.Errorf("the executor's pid was %s and is %s", old, now)
	}
	d.Must(t, "rm", "/run/upgrade")
	if a := wait(); a.exit != 0 || a.out != "whole\n" {
		t.Errorf("the running command: exit %d, %q, %q", a.exit, a.out, a.err)
	}
	d.runs(t) // by the old program, whose file is gone
	d.does(t, "Restart")
	d.until(t, "a new executor", func() error {
		if now := d.unit(t, executorUnit, "MainPID"); now == old || now == "0" {
			return fmt.Errorf("pid %s", now)
		}
		return nil
	})
	d.has(t, "State", `s "running"`)
	d.runs(t)
}

// dropIn changes a unit for the rest of the test; restart what is to see it.
func (d *dom0) dropIn(t *testing.T, unit, text string) {
	t.Helper()
	path := "/etc/systemd/system/" + unit + ".d/test.conf"
	d.WriteFile(t, path, "[Service]\n"+text+"\n")
	d.Must(t, "systemctl", "daemon-reload")
	t.Cleanup(func() {
		d.Must(t, "rm", path)
		d.Must(t, "systemctl", "daemon-reload")
	})
}

func (d *dom0) hung(t *testing.T) {
	d.dropIn(t, executorUnit, "WatchdogSec=2s\nTimeoutAbortSec=2s")
	d.Must(t, "systemctl", "restart", executorUnit)
	d.runs(t)
	old := d.unit(t, executorUnit, "MainPID")
	d.signal(t, "STOP")
	d.until(t, "a new executor", func() error {
		if now := d.unit(t, executorUnit, "MainPID"); now == old || now == "0" {
			return fmt.Errorf("pid %s", now)
		}
		return nil
	})
	d.has(t, "State", `s "running"`)
	d.runs(t)
	said := d.Must(t, "journalctl", "--boot", "--quiet", "--lines=20", "--identifier=systemd", "--unit="+executorUnit)
	if !strings.Contains(said, "Failed with result 'watchdog'") {
		t.Errorf("it was not the watchdog that ended it:\n%s", said)
	}
	d.Must(t, "systemctl", "reset-failed", executorUnit)
}

func (d *dom0) enabled(t *testing.T) {
	d.does(t, "Stop")
	d.has(t, "State", `s "stopped"`)
	if got := d.denied("", "EnableAtBoot", "boolean:false"); got != busName+".Error.RiskNotAccepted" {
		t.Errorf("enabling without accepting the risk: %q", got)
	}
	d.has(t, "StartsAtBoot", "b false")
	d.does(t, "EnableAtBoot", "b", "true")
	d.has(t, "StartsAtBoot", "b true")
	d.has(t, "State", `s "stopped"`) // enabling is not starting
	d.Reboot(t)
	if got := d.unit(t, executorUnit, "ActiveState"); got != "active" {
		t.Errorf("after a boot the executor is %s", got)
	}
	d.has(t, "State", `s "running"`)
	d.runs(t)
}

func (d *dom0) disabled(t *testing.T) {
	d.does(t, "DisableAtBoot")
	d.has(t, "StartsAtBoot", "b false")
	d.has(t, "State", `s "running"`) // disabling is not stopping
	d.Reboot(t)
	d.active(t, "inactive", "inactive")
	d.has(t, "State", `s "stopped"`)
	d.active(t, "inactive", "active")
	d.does(t, "Start")
	d.runs(t)
}

func (d *dom0) journal(t *testing.T) {
	fields := []string{"QVM_REMOTE_EVENT=final", "QVM_REMOTE_QUBE=work", "QVM_REMOTE_STATE=exit"}
	found := d.Must(t, append([]string{"journalctl", "--no-pager", "--quiet", "--lines=3", "--output=verbose"}, fields...)...)
	for _, want := range append(fields, "QVM_REMOTE_SEQ=", "QVM_REMOTE_ID=", "_SYSTEMD_UNIT="+executorUnit) {
		if !strings.Contains(found, want) {
			t.Errorf("no %s in the journal:\n%s", want, found)
		}
	}
	if len(d.secrets) < 2 {
		t.Fatal("no keys to look for")
	}
	// grep, for the whole journal of all boots is long
	const look = `journalctl --no-pager --quiet --output=export --all | grep --text --count --ignore-case "$1"`
	for _, key := range d.secrets {
		if n, err := d.Run("sh", "-c", look, "sh", key); err == nil || strings.TrimSpace(n) != "0" {
			t.Errorf("a key of the qube's is in the journal, times: %s", n)
		}
	}
	if n, err := d.Run("sh", "-c", look, "sh", "QVM_REMOTE_EVENT=claim"); err != nil || strings.TrimSpace(n) == "0" {
		t.Errorf("the search for the key cannot find what is there: %v", err)
	}
}
