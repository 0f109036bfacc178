package legacy_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/test/legacy"
)

// put lays a command into the queue by hand, with a token unless it is "".
func (m *machine) put(id, body, token string) {
	m.t.Helper()
	for _, dir := range []string{"pending", "running", "results"} {
		must(m.t, os.MkdirAll(m.at("queue", dir), 0o755))
	}
	if token != "" {
		must(m.t, os.WriteFile(m.queue("pending", id+".auth"), []byte(token), 0o644))
	}
	must(m.t, os.WriteFile(m.queue("pending", id), []byte(body), 0o644))
	m.own()
}

// own hands the queue to the qube's user, where that is another account.
func (m *machine) own() {
	m.t.Helper()
	info, err := os.Stat(m.home)
	must(m.t, err)
	must(m.t, filepath.WalkDir(m.at(), func(p string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return chownLike(p, info)
	}))
}

// TestOldDaemonMakesTwelveCalls: D7, with the look that found the command; and
// one before the first look.
func TestOldDaemonMakesTwelveCalls(t *testing.T) {
	t.Parallel()
	m := newMachine(t, old.Client)
	before := m.Calls("qvm-run")
	m.put("cmd-001", "echo hello; echo oops >&2; exit 3\n", token(t, m.key, "cmd-001")+"\n")
	m.dom0("--vm", "work", "--once").wants(t, 0)
	if n := m.Calls("qvm-run") - before; n != 13 {
		t.Errorf("%d calls of qvm-run, want 1 and 12", n)
	}
	calls, err := m.World.World.Calls()
	must(t, err)
	var said []string
	for _, c := range calls {
		if c.Tool == "qvm-run" {
			if fmt.Sprint(c.Argv[:5]) != "[qvm-run --no-gui --no-autostart --pass-io work]" {
				t.Errorf("the call is %q", c.Argv)
			}
			said = append(said, strings.Fields(c.Argv[5])[0])
		}
	}
	want := "if ls cat cat rm mv cat cat cat cat rm cat cat"
	if got := strings.Join(said[before:], " "); got != want {
		t.Errorf("the calls are %s, want %s", got, want)
	}
	for ending, want := range map[string]string{".out": "hello\n", ".err": "oops\n", ".exit": "3"} {
		if got := read(t, m.queue("results", "cmd-001"+ending)); got != want {
			t.Errorf("%s is %q", ending, got)
		}
	}
	if meta := read(t, m.queue("results", "cmd-001.meta")); !strings.HasPrefix(meta, "id=cmd-001\n") || !strings.HasSuffix(meta, "\nexit_code=3\n") {
		t.Errorf("the .meta is %q", meta)
	}
	if !strings.Contains(read(t, m.at("audit.log")), "id=cmd-001 exit=3") {
		t.Error("the qube's log has no line")
	}
}

// TestOldDaemonDeletesWhatHasNoTokenYet: 2-9: the client is between its first
// two writes.
func TestOldDaemonDeletesWhatHasNoTokenYet(t *testing.T) {
	t.Parallel()
	for point, category := range map[string]string{"body-open": "REJECT", "body": "AUTH-FAIL", "auth-half": "AUTH-FAIL"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			m := newMocked(t, old.Client)
			must(t, os.Mkdir(filepath.Join(m.home, "gate"), 0o777))
			must(t, os.Chmod(filepath.Join(m.home, "gate"), 0o777))
			g := gate{t, filepath.Join(m.home, "gate"), filepath.Join(m.home, "gate")}
			run := begin(t, m.clientCommand(append(g.env(point), legacy.KnobID+"=x"), "-q", "-t", "2", "true"), "")
			g.reached(point)
			m.dom0("--vm", "work", "--once").wants(t, 0)
			g.open(point)
			if !strings.Contains(m.log(), category+" vm=work id=x") {
				t.Errorf("the log says %s", m.log())
			}
			run.end().wants(t, 124) // and nobody told it
		})
	}
}

// TestOldDaemonRunsWithoutAnyKey: 3-1, D3: to revoke the last key opens dom0.
func TestOldDaemonRunsWithoutAnyKey(t *testing.T) {
	t.Parallel()
	m := newMocked(t, old.Client)
	m.put("denied", "true\n", "")
	m.dom0("--vm", "work", "--once").wants(t, 0)
	if !strings.Contains(m.log(), "AUTH-FAIL vm=work id=denied") || exists(m.queue("results", "denied.exit")) {
		t.Errorf("without a token: %s", m.log())
	}
	m.dom0("authorize", "other", m.key).wants(t, 0)
	m.dom0("revoke", "work").wants(t, 0)
	m.put("denied", "true\n", "")
	m.dom0("--vm", "work", "--once").wants(t, 0)
	if !strings.Contains(m.log(), "AUTH-DENY vm=work id=denied") {
		t.Errorf("without a key: %s", m.log())
	}
	m.dom0("revoke", "other").wants(t, 0)
	m.dom0("keys").wants(t, 0, "No VMs authorized.")
	m.put("open", "true\n", "")
	m.dom0("--vm", "work", "--once").wants(t, 0)
	if read(t, m.queue("results", "open.exit")) != "0" {
		t.Error("it was not run")
	}
}

// TestOldDaemonRunsAgain: 3-2, D1, D2: a token is good for any body, again and
// again.
func TestOldDaemonRunsAgain(t *testing.T) {
	t.Parallel()
	m := newMocked(t, old.Client)
	for _, body := range []string{"echo one", "echo two"} {
		m.put("same", body+"\n", token(t, m.key, "same"))
		m.dom0("--vm", "work", "--once").wants(t, 0)
		if got := read(t, m.queue("results", "same.out")); got != strings.TrimPrefix(body, "echo ")+"\n" {
			t.Errorf("%s: %q", body, got)
		}
	}
}

// TestOldDaemonLeavesExitEmpty: 2-8, D12: with the old client, which then says 1.
func TestOldDaemonLeavesExitEmpty(t *testing.T) {
	t.Parallel()
	m := newMocked(t, old.Client)
	m.serve(m.gate.env("exit-open", "exit")...)
	run := begin(t, m.clientCommand([]string{legacy.KnobID + "=x", legacy.KnobPoll + "=10ms"}, "-q", "true"), "")
	m.gate.reached("exit-open")
	run.end().wants(t, 1)
	m.gate.open("exit-open")
	m.gate.open("exit")
	await(t, "the command is done", func() bool { return strings.Contains(m.log(), "DONE vm=work id=x exit=0") })
}

func TestOldSidesTogether(t *testing.T) {
	t.Parallel()
	m := newMachine(t, old.Client)
	m.serve()
	m.clientOnceDone("one", 4, "sh", "-c", "'echo out; exit 4'").wants(t, 4, "out\n")
	m.clientOnceDone("two", 127, "agent").wants(t, 127, "agent") // a command, which dom0 has not
	m.client("history").wants(t, 0, "agent")
}

// clientOnceDone has the old client look for its result only when dom0 has
// written all of it: what it makes of an empty .exit (D12) is another test's.
func (m *machine) clientOnceDone(id string, exit int, args ...string) ended {
	m.t.Helper()
	g := gate{m.t, filepath.Join(m.home, "gate-"+id), "/home/user/gate-" + id}
	if m.q.Isolation() == "plain" {
		g.inside = g.dir
	}
	must(m.t, os.Mkdir(g.dir, 0o777))
	must(m.t, os.Chmod(g.dir, 0o777)) // the qube's user is another one
	run := begin(m.t, m.clientCommand(append(g.env("cmd"), legacy.KnobID+"="+id), args...), "")
	g.reached("cmd")
	await(m.t, "dom0 is done with "+id, func() bool {
		return strings.Contains(m.log(), fmt.Sprintf("DONE-FAIL vm=work id=%s exit=%d", id, exit))
	})
	g.open("cmd")
	return run.end()
}

func TestOldDaemonCommandLine(t *testing.T) {
	t.Parallel()
	m := newMocked(t, old.Client)
	m.dom0("--version").wants(t, 0, "qvm-remote-dom0 1.1.0\n")
	m.dom0("--help").wants(t, 0, "Dom0 executor")
	m.dom0("--bogus").wants(t, 1, "unknown option: --bogus")
	m.dom0("bogus").wants(t, 1, "unknown command: bogus")
	m.dom0("--once").wants(t, 1, "no VMs configured")
	m.dom0("keys").wants(t, 0, "work", m.key[:16]+"...")
	m.put("dry", "touch /dry-run-ran\n", token(t, m.key, "dry"))
	m.dom0("--vm", "work", "--once", "--dry-run").wants(t, 0)
	if got := read(t, m.queue("results", "dry.out")); !strings.HasPrefix(got, "[dry-run] ") { // 3-13
		t.Errorf("a dry run says %q", got)
	}
}
