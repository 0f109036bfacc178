package sim_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"qvmremote/test/sim"
)

func TestQvmLs(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	w.Qube("vault", sim.Halted)
	tests := []struct {
		args []string
		out  string
		code int
	}{
		{[]string{"--raw-data", "--fields", "NAME,STATE,LABEL,CLASS"}, "dom0|Running|black|AdminVM\nvault|Halted|red|AppVM\nwork|Running|red|AppVM\n", 0},
		{[]string{"--raw-data", "--fields=name,uuid,netvm", "work"}, "work|" + q.UUID() + "|-\n", 0},
		{[]string{"--raw-list"}, "dom0\nvault\nwork\n", 0},
		{[]string{"--raw-list", "--exclude", "dom0", "--halted"}, "vault\n", 0},
		{[]string{"--raw-data", "--fields", "NAME", "nope"}, "", 2},
		{[]string{"--raw-data", "--fields", "NO_SUCH"}, "", 2},
	}
	for _, tt := range tests {
		r := tool(t, w, "", "qvm-ls", tt.args...)
		expect(t, strings.Join(tt.args, " "), r.out, tt.out)
		expect(t, strings.Join(tt.args, " "), r.code, tt.code)
	}
	expect(t, "a heading without --raw", strings.HasPrefix(tool(t, w, "", "qvm-ls").out, "NAME   STATE    CLASS"), true)
}

func TestQvmPrefs(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	uuid := q.UUID()
	expect(t, "is a uuid4", regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(uuid), true)
	for args, want := range map[string]result{
		"work uuid":         {uuid + "\n", "", 0},
		"--get work label":  {"red\n", "", 0},
		"work default_user": {"user\n", "", 0},
		"work klass":        {"AppVM\n", "", 0},
		"dom0 klass":        {"AdminVM\n", "", 0},
	} {
		expect(t, args, tool(t, w, "", "qvm-prefs", strings.Fields(args)...), want)
	}
	for _, args := range []string{"nope uuid", "work no_such", "work uuid 1-2-3", ""} {
		expect(t, args, tool(t, w, "", "qvm-prefs", strings.Fields(args)...).code, 2)
	}
	expect(t, "set", tool(t, w, "", "qvm-prefs", "work", "label", "green").code, 0)
	expect(t, "was set", tool(t, w, "", "qvm-prefs", "work", "label").out, "green\n")
}

// qrexec-client and its exit codes.
func TestQrexecClient(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	w.Qube("off", sim.Halted)
	tests := []struct {
		args  []string
		stdin string
		want  result
	}{
		{[]string{"-d", "work", "user:echo hi; cat"}, "in\n", result{"hi\nin\n", "", 0}},
		{[]string{"-d", "work", "DEFAULT:exit 9"}, "", result{"", "", 9}},
		{[]string{"-d", "work", "user:nogui:echo hi"}, "", result{"hi\n", "", 0}},
		{[]string{"-d", "work", "user:QUBESRPC qubes.VMShell+ dom0"}, "echo $QREXEC_REMOTE_DOMAIN\n", result{"dom0\n", "", 0}},
		{[]string{"-d", "work", "-p", "read a; echo got $a; exit\n", "user:QUBESRPC qubes.VMShell+ dom0"}, "x\n", result{"got x\n", "", 0}},
		{[]string{"-d", "work", "user:QUBESRPC qubes.VMExec+echo+a-20b dom0"}, "", result{"a b\n", "", 0}},
		{[]string{"-t", "-T", "-w", "3", "-d", "work", `user:printf '\033'; printf '\033' >&2`}, "", result{"_", "_", 0}},
		{[]string{"-d", "work", "-l", "echo ping; exec cat >&2", "user:cat"}, "", result{"", "ping\n", 0}},
		{[]string{"-d", "work", "root:echo $USER"}, "", result{"root\n", "", 0}},
	}
	for _, tt := range tests {
		expect(t, strings.Join(tt.args, " "), tool(t, w, tt.stdin, "qrexec-client", tt.args...), tt.want)
	}
	for _, args := range [][]string{{"-d", "off", "user:true"}, {"-d", "nope", "user:true"}, {"user:true"}, {"-d", "work"}, {"-d", "work", "no-user"}} {
		r := tool(t, w, "", "qrexec-client", args...)
		expect(t, strings.Join(args, " "), r.code, 1)
		expect(t, "says why", r.err != "", true)
	}
	expect(t, "bad encoding", tool(t, w, "", "qrexec-client", "-d", "work", "user:QUBESRPC qubes.VMExec+a-2 dom0").code, 1)
	expect(t, "no such program", tool(t, w, "", "qrexec-client", "-d", "work", "user:QUBESRPC qubes.VMExec+no.such dom0").code, 1)
}

func TestCallsAreLogged(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	tool(t, w, "", "qvm-run", "-p", "work", "echo 'a b'\n\t")
	tool(t, w, "", "qvm-check", "work")
	expect(t, "qvm-run", w.Calls("qvm-run"), 1)
	expect(t, "its client", w.Calls("qvm-run/qrexec-client"), 1)
	expect(t, "qrexec-client", w.Calls("qrexec-client"), 0)
	calls, err := w.World.Calls()
	if err != nil || len(calls) != 3 {
		t.Fatalf("calls: %v %v", calls, err)
	}
	expect(t, "argv", strings.Join(calls[0].Argv, "|"), "qvm-run|-p|work|echo 'a b'\n\t")
}

// The tools know their world from where they lie, not from the environment.
func TestToolsNeedNoEnvironment(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	cmd := w.Dom0Command(t.Context(), filepath.Join(w.Dom0Bin(), "qvm-run"), "-p", "work", "hostname")
	cmd.Env, cmd.Dir = []string{}, "/"
	expect(t, "empty environment", finish(t, cmd, ""), result{"work\n", "", 0})
}

func TestHostname(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	expect(t, "dom0", tool(t, w, "", "bash", "-c", "hostname").out, "dom0\n")
	expect(t, "qube", inside(t, q, "hostname").out, "work\n")
	expect(t, "unknown key", inside(t, q, "qubesdb-read", "/nope").code, 1)
}

// A program in a qube's terminal: signals, exit codes, and its end with the
// terminal.
func TestTerminal(t *testing.T) {
	t.Parallel()
	for _, how := range isolations {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			q := isolated(t, w, "work", how)
			expect(t, "no such program", inside(t, q, "no-such-program").code, 127)
			r := start(t, q.Command(t.Context(), "sh", "-c", "trap 'echo caught; exit 130' INT; echo ready; while :; do sleep 0.01; done"))
			expect(t, "line", line(t, r.out), "ready")
			r.Process.Signal(syscall.SIGINT)
			expect(t, "the program's answer", line(t, r.out), "caught")
			expect(t, "exit code", code(t, r), 130)
			r = start(t, q.Command(t.Context(), "sh", "-c", "echo ready; exec sleep 1000"))
			expect(t, "line", line(t, r.out), "ready")
			r.Process.Signal(syscall.SIGTERM)
			expect(t, "killed by a signal", code(t, r), 128+15)
			r = start(t, q.Command(t.Context(), "sh", "-c", "echo ready; while :; do touch ~/alive; sleep 0.01; done"))
			expect(t, "line", line(t, r.out), "ready")
			r.Process.Kill()
			alive := filepath.Join(q.Home(), "alive")
			eventually(t, "the program is killed with the terminal", func() bool {
				os.Remove(alive)
				inside(t, q, "sleep", "0.05")
				return !there(alive)
			})
		})
	}
}
