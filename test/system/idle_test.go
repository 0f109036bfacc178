//go:build system

package system

import (
	"errors"
	"testing"
)

// leaveSoon has the manager leave after two seconds without a call.
const leaveSoon = "ExecStart=\nExecStart=/usr/bin/qvm-remote-dom0 --manage --idle=2s"

// idle: without a subscriber the manager leaves, and the next call finds it all
// the same.
func (d *dom0) idle(t *testing.T) {
	d.dropIn(t, managerUnit, leaveSoon)
	d.Must(t, "systemctl", "restart", managerUnit)
	d.does(t, "Stop")
	d.has(t, "State", `s "stopped"`)
	old := d.unit(t, managerUnit, "MainPID")
	d.until(t, "the manager leaves", func() error {
		if s := d.unit(t, managerUnit, "ActiveState"); s != "inactive" {
			return errors.New(s)
		}
		return nil
	})
	if got := d.unit(t, managerUnit, "Result"); got != "success" {
		t.Errorf("it left with %s", got)
	}
	d.has(t, "State", `s "stopped"`)
	d.active(t, "inactive", "active")
	if now := d.unit(t, managerUnit, "MainPID"); now == old {
		t.Errorf("the manager's pid is %s as before", now)
	}
	d.does(t, "Start")
	d.has(t, "State", `s "running"`)
}
