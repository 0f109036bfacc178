//go:build system

package system

import (
	"errors"
	"testing"
	"time"
)

// idleTime is more than the manager stays when nobody asks for anything.
const idleTime = 90 * time.Second

// idle: without a subscriber the manager leaves, and the next call finds it all
// the same.
func (d *dom0) idle(t *testing.T) {
	d.does(t, "Stop")
	d.has(t, "State", `s "stopped"`)
	old := d.unit(t, managerUnit, "MainPID")
	err := poll(idleTime, func() error {
		time.Sleep(time.Second)
		if s := d.unit(t, managerUnit, "ActiveState"); s != "inactive" {
			return errors.New(s)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("nobody needs the manager, and it is %v", err)
	}
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
