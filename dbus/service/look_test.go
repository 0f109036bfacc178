package service

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/admin"
	"qvmremote/dbus"
	"qvmremote/test/bus/systemd"
	"qvmremote/test/executable"
)

// tool puts a program of that name before all others in PATH.
func tool(t *testing.T, name, script string) {
	t.Helper()
	dir := t.TempDir()
	must(t, executable.Write(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script)))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

// hangs is a script that ends with the test.
func hangs(t *testing.T) string {
	t.Helper()
	hold := filepath.Join(t.TempDir(), "hold")
	must(t, os.WriteFile(hold, nil, 0o600))
	return "while [ -e " + hold + " ]; do sleep 0.05; done\n"
}

// TestTheFirstAnswerKnowsTheBoot: whoever's call starts the manager is told the
// truth about a boot, not what is so before anybody asked.
func TestTheFirstAnswerKnowsTheBoot(t *testing.T) {
	w := newWorld(t)
	fake := systemd.Start(t, w.bus)
	fake.Add(admin.Service, systemd.Hooks{})
	fake.SetEnabled(admin.Service, "enabled")
	w.manage()
	c := w.client()
	if c.property("StartsAtBoot") != true {
		t.Error("the first answer says that it does not start at boot")
	}
	fake.SetEnabled(admin.Service, "disabled")
	w.until("the change is seen", func() bool { return c.property("StartsAtBoot") == false })
}

// TestManySubscribersAskOnce: a subscription has the qubes looked at, and a
// thousand of them are no thousand processes of dom0.
func TestManySubscribersAskOnce(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	tool(t, "qvm-ls", "echo x >>"+calls+"\n"+hangs(t))
	w := newWorld(t)
	w.manage()
	for range 20 {
		c := w.client()
		for range 5 {
			if _, code := c.call("Subscribe"); code != "" {
				t.Fatal(code)
			}
		}
	}
	said, err := os.ReadFile(calls)
	must(t, err)
	if n := strings.Count(string(said), "x"); n != 1 {
		t.Errorf("qvm-ls was started %d times while it hung", n)
	}
}

// TestAQubeListThatHangs: keys and settings are followed all the same.
func TestAQubeListThatHangs(t *testing.T) {
	tool(t, "qvm-ls", hangs(t))
	w := newWorld(t)
	w.o.Times.Power = 10 * time.Millisecond
	w.manage()
	c := w.client()
	if _, code := c.call("Subscribe"); code != "" {
		t.Fatal(code)
	}
	must(t, os.WriteFile(w.root.Config(), []byte("QVM_REMOTE_VMS=work\n"), 0o600))
	w.until("a configured qube has an object", func() bool {
		out, code := c.call("ListQubes")
		return code == "" && strings.Contains(fmt.Sprint(out...), string(dbus.QubePath("work")))
	})
}

// TestAQubeMadeLater: that it was not there when somebody last asked does not
// mean that it is missing.
func TestAQubeMadeLater(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	must(t, os.WriteFile(list, []byte("dom0|Running|AdminVM|black|-\n"), 0o600))
	tool(t, "qvm-ls", "cat "+list+"\n")
	w := newWorld(t)
	w.o.Times.Power = 20 * time.Millisecond // what was told is old after twice that
	must(t, os.WriteFile(w.root.Config(), []byte("QVM_REMOTE_VMS=work\n"), 0o600))
	w.manage()
	c := w.client()
	power := func() any {
		out, code := c.at(dbus.QubePath("work"), dbus.Properties+".Get", dbus.QubeInterface, "PowerState")
		if code != "" {
			return code
		}
		return strings.Trim(fmt.Sprint(out...), `"`)
	}
	if _, code := c.call("Subscribe"); code != "" {
		t.Fatal(code)
	}
	w.until("it is missing", func() bool { return power() == powerMissing })
	must(t, os.WriteFile(list, []byte("dom0|Running|AdminVM|black|-\nwork|Halted|AppVM|red|-\n"), 0o600))
	w.until("it is there", func() bool { return power() == "Halted" })
}
