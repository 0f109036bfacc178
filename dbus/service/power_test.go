package service

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// TestPower: a qube is started and shut down by its object, its new state is
// told before the caller learns that it is done, and nothing is called for what
// is so already, or cannot be.
func TestPower(t *testing.T) {
	dir := t.TempDir()
	state, calls := filepath.Join(dir, "state"), filepath.Join(dir, "calls")
	is := func(word string) { t.Helper(); must(t, os.WriteFile(state, []byte(word), 0o600)) }
	is("Halted")
	tool(t, "qvm-ls", "echo 'dom0|Running|AdminVM|black|-'; [ -s "+state+" ] && echo \"work|$(cat "+state+")|AppVM|red|-\"; exit 0\n")
	tool(t, "qvm-start", "echo start >>"+calls+"; [ -e "+dir+"/full ] && { printf 'no memory\\033[2J' >&2; exit 1; }; printf Running >"+state+"\n")
	tool(t, "qvm-shutdown", "echo shutdown >>"+calls+"; printf Halted >"+state+"\n")
	w := newWorld(t)
	w.manage()
	c := w.client()
	power := func(method string) string {
		_, code := c.at(dbus.QubePath("work"), dbus.QubeInterface+"."+method)
		return code
	}
	told := func(want string) {
		t.Helper()
		out, _ := c.at(dbus.QubePath("work"), dbus.Properties+".Get", dbus.QubeInterface, "PowerState")
		if len(out) != 1 || out[0].(godbus.Variant).Value() != want {
			t.Errorf("PowerState: %v, want %s", out, want)
		}
	}
	for _, method := range []string{"Start", "ShutDown"} {
		if code := power(method); code != string(dbus.NoSuchObject) {
			t.Errorf("%s of a qube that we do not know: %q", method, code)
		}
	}
	must(t, os.WriteFile(w.root.Config(), []byte("QVM_REMOTE_VMS=work\n"), 0o600))
	c.call("Reload")
	for _, step := range []struct{ before, method, code, after string }{
		{"Halted", "Start", "", "Running"},
		{"Running", "Start", "", "Running"},
		{"Running", "ShutDown", "", "Halted"},
		{"Halted", "ShutDown", "", "Halted"},
		{"Paused", "Start", string(dbus.QubeNotRunning), "Paused"},
		{"Paused", "ShutDown", string(dbus.QubeNotRunning), "Paused"},
		{"", "Start", string(dbus.NoSuchQube), powerMissing},
		{"", "ShutDown", string(dbus.NoSuchQube), powerMissing},
	} {
		is(step.before)
		if code := power(step.method); code != step.code {
			t.Errorf("%s, %q: %q, want %q", step.method, step.before, code, step.code)
		}
		told(step.after)
	}
	if said, err := os.ReadFile(calls); err != nil || string(said) != "start\nshutdown\n" {
		t.Errorf("called were %q, %v", said, err)
	}
	is("Halted")
	must(t, os.WriteFile(dir+"/full", nil, 0o600))
	err := c.conn.Object(dbus.Name, dbus.QubePath("work")).CallWithContext(context.Background(), dbus.QubeInterface+".Start", 0).Err
	if codeIn(err) != string(dbus.Failed) || !strings.Contains(err.Error(), `no memory\x1b[2J`) {
		t.Errorf("a start that fails: %v", err)
	}
	told("Halted")
}

// TestPowerOneAtATime: however often somebody asks, there is one tool at work
// for a qube.
func TestPowerOneAtATime(t *testing.T) {
	calls := filepath.Join(t.TempDir(), "calls")
	tool(t, "qvm-ls", "echo 'work|Halted|AppVM|red|-'\n")
	tool(t, "qvm-start", "echo start >>"+calls+"\n"+hangs(t))
	w := newWorld(t)
	must(t, os.WriteFile(w.root.Config(), []byte("QVM_REMOTE_VMS=work\n"), 0o600))
	w.manage()
	first, second := w.client(), w.client()
	const start = dbus.QubeInterface + ".Start"
	ctx, leave := context.WithCancel(context.Background())
	first.conn.Object(dbus.Name, dbus.QubePath("work")).GoWithContext(ctx, start, 0, make(chan *godbus.Call, 1))
	w.until("the tool is at work", func() bool { said, err := os.ReadFile(calls); return err == nil && len(said) > 0 })
	for _, method := range []string{start, dbus.QubeInterface + ".ShutDown"} {
		if _, code := second.at(dbus.QubePath("work"), method); code != string(dbus.LimitsExceeded) {
			t.Errorf("%s meanwhile: %q", method, code)
		}
	}
	leave()
	must(t, first.conn.Close())
	tool(t, "qvm-start", "exit 0\n")
	w.until("who left holds it up no more", func() bool { _, code := second.at(dbus.QubePath("work"), start); return code == "" })
}

// TestPowerIsFollowed: whoever is subscribed hears of a change when qubesd tells
// of it, not when it is time to look.
func TestPowerIsFollowed(t *testing.T) {
	list := filepath.Join(t.TempDir(), "list")
	is := func(state string) {
		t.Helper()
		must(t, os.WriteFile(list, []byte("dom0|Running|AdminVM|black|-\nwork|"+state+"|AppVM|red|-\n"), 0o600))
	}
	is("Halted")
	tool(t, "qvm-ls", "cat "+list+"\n")
	for _, executor := range []bool{false, true} {
		w := newWorld(t)
		w.o.Times.Power = time.Hour
		must(t, os.WriteFile(w.root.Config(), []byte("QVM_REMOTE_VMS=work\n"), 0o600))
		ln, err := net.Listen("unix", w.root.Qubesd())
		must(t, err)
		t.Cleanup(func() { _ = ln.Close() })
		if executor {
			tool(t, "qvm-run", "exit 1\n")
			w.execute()
		} else {
			w.manage()
		}
		qubesd, err := ln.Accept()
		must(t, err)
		t.Cleanup(func() { _ = qubesd.Close() })
		say := func(s string) { t.Helper(); _, err := qubesd.Write([]byte(s)); must(t, err) }
		say("1\x00\x00connection-established\x00\x00")
		c := w.client()
		if _, code := c.call("Subscribe"); code != "" {
			t.Fatal(code)
		}
		for _, state := range []string{"Paused", "Halted"} {
			is(state)
			say("1\x00work\x00domain-paused\x00\x00")
			w.until(state+" is told", func() bool {
				out, _ := c.at(dbus.QubePath("work"), dbus.Properties+".Get", dbus.QubeInterface, "PowerState")
				return len(out) == 1 && out[0].(godbus.Variant).Value() == state
			})
		}
	}
}
