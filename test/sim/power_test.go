package sim_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"qvmremote/test/sim"
	"qvmremote/test/sim/proctree"
)

// qvm-check and its exit codes.
func TestQvmCheck(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	for name, state := range map[string]string{"run": "Running", "halt": "Halted", "pause": "Paused", "trans": "Transient", "dying": "Halting", "crash": "Crashed"} {
		w.Qube(name, sim.Halted)
		expect(t, "state "+state, tool(t, w, "", "qubes-sim", "state", name, state), result{})
	}
	tests := []struct {
		statement string
		args      []string
		code      int
	}{
		{"0: all match", []string{"run"}, 0},
		{"0: exists, whatever its state", []string{"halt"}, 0},
		{"--running: Running", []string{"--running", "run"}, 0},
		{"--running: Paused counts", []string{"--running", "pause"}, 0},
		{"--running: Transient counts", []string{"--running", "trans"}, 0},
		{"--running: Halting counts", []string{"run", "--running", "dying"}, 0},
		{"--running: all but Halted and NA counts", []string{"--running", "crash"}, 0},
		{"1: none match", []string{"--running", "halt"}, 1},
		{"1: --paused of a running one", []string{"--paused", "run"}, 1},
		{"0: --paused", []string{"--paused", "pause"}, 0},
		{"3: some match", []string{"--running", "run", "halt"}, 3},
		{"1: any name is unknown", []string{"--running", "run", "nope"}, 1},
		{"1: unknown alone", []string{"nope"}, 1},
		{"1: --template", []string{"--template", "run"}, 1},
		{"1: --networked", []string{"--networked", "run"}, 1},
		{"2: argparse", []string{"--bogus", "run"}, 2},
	}
	for _, tt := range tests {
		t.Run(tt.statement, func(t *testing.T) {
			r := tool(t, w, "", "qvm-check", tt.args...)
			expect(t, "exit code", r.code, tt.code)
			expect(t, "quiet unless -v", r.out+r.err == "", tt.code != 2)
		})
	}
	expect(t, "-v goes to stderr", tool(t, w, "", "qvm-check", "-v", "run"), result{"", "run: Running\n", 0})
}

// qvm-start and qvm-shutdown, their exit codes and what is no error.
func TestStartAndShutdown(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Halted)
	start := func(args ...string) result { return tool(t, w, "", "qvm-start", args...) }
	expect(t, "0: started", start("--", "work"), result{})
	expect(t, "state", q.State(), sim.Running)
	expect(t, "1: it runs already", start("work"), result{"", "domain work is already running\n", 1})
	expect(t, "0: --skip-if-running", start("--skip-if-running", "--", "work"), result{})
	q.SetState(sim.Paused)
	expect(t, "to qvm-start a paused one runs", start("--skip-if-running", "work"), result{})
	expect(t, "state", q.State(), sim.Paused)
	expect(t, "boots", q.Boots(), 1)
	expect(t, "0: shut down", tool(t, w, "", "qvm-shutdown", "--wait", "--timeout", "90", "--", "work"), result{})
	expect(t, "state", q.State(), sim.Halted)
	expect(t, "0: it is down already", tool(t, w, "", "qvm-shutdown", "--wait", "work"), result{})
	q.Set(sim.StartFail, "1")
	expect(t, "1: it cannot be started", start("work").code, 1)
	expect(t, "state", q.State(), sim.Halted)
	for _, args := range [][]string{{"nope"}, {}, {"--bogus", "work"}} {
		expect(t, "2: qvm-start", start(args...).code, 2)
		expect(t, "2: qvm-shutdown", tool(t, w, "", "qvm-shutdown", args...).code, 2)
	}
}

// Starting and not starting: -a, -n and what they cannot prevent.
func TestAutostart(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Halted)
	expect(t, "-n does not start", tool(t, w, "", "qvm-run", "-n", "-p", "work", "true").code, 1)
	expect(t, "boots", q.Boots(), 0)
	expect(t, "qrexec-client never starts", tool(t, w, "", "qrexec-client", "-d", "work", "DEFAULT:true").code, 1)
	expect(t, "boots", q.Boots(), 0)
	expect(t, "autostart is the default", tool(t, w, "", "qvm-run", "-p", "work", "echo up").out, "up\n")
	expect(t, "boots", q.Boots(), 1)
	q.SetState(sim.Paused)
	expect(t, "-n does not unpause", tool(t, w, "", "qvm-run", "-n", "-p", "work", "true").code, 1)
	expect(t, "state", q.State(), sim.Paused)
	expect(t, "without -n it does", tool(t, w, "", "qvm-run", "-a", "-p", "work", "echo on").out, "on\n")
	expect(t, "state", q.State(), sim.Running)
	expect(t, "boots", q.Boots(), 1)
}

// "--no-autostart is only a pre-check": a qube that goes down between it
// and the call is started again.
func TestAutostartRace(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	q.SetState(sim.Halting)
	expect(t, "a dying qube still answers", tool(t, w, "", "qvm-run", "-n", "-p", "work", "echo dying").out, "dying\n")
	expect(t, "boots", q.Boots(), 1)
	q.Set(sim.Race, "1")
	expect(t, "restarted", tool(t, w, "", "qvm-run", "-n", "-p", "work", "echo alive").out, "alive\n")
	expect(t, "boots", q.Boots(), 2)
	expect(t, "state", q.State(), sim.Running)
	q.SetState(sim.Halting)
	expect(t, "qrexec-client does not", tool(t, w, "", "qrexec-client", "-d", "work", "DEFAULT:echo same").out, "same\n")
	expect(t, "boots", q.Boots(), 2)
}

// A paused qube: nothing in it moves until it is unpaused, and nothing is lost.
func TestPauseFreezes(t *testing.T) {
	t.Parallel()
	for _, how := range isolations {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			q := isolated(t, w, "work", how)
			r := stream(t, w, "work", "echo ready; while read a; do echo $a; done")
			expect(t, "line", line(t, r.out), "ready")
			q.SetState(sim.Paused)
			fmt.Fprintln(r.in, "hello")
			answer := make(chan string, 1)
			go func() { answer <- line(t, r.out) }()
			select {
			case s := <-answer:
				t.Errorf("a paused qube answered %q", s)
			case <-time.After(100 * time.Millisecond):
			}
			c := tool(t, w, "", "qrexec-client", "-w", "1", "-d", "work", "DEFAULT:true")
			expect(t, "connecting times out", c.code, 1)
			expect(t, "and says so", strings.Contains(c.err, "timeout"), true)
			expect(t, "unpause", tool(t, w, "", "qubes-sim", "unpause", "work"), result{})
			expect(t, "goes on", <-answer, "hello")
			q.SetState(sim.Paused)
			q.SetState(sim.Halted)
			expect(t, "halted while paused", code(t, r), 255)
		})
	}
}

// A qube that is halted has no process left, whatever its processes did to be
// forgotten.
func TestHaltEndsEverything(t *testing.T) {
	t.Parallel()
	for _, how := range isolations {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			q := isolated(t, w, "work", how)
			hide := "for i in 1 2 3; do setsid sh -c 'trap \"\" TERM HUP INT; (sleep 1000 &) ; sleep 1000' >/dev/null 2>&1 & done; echo ok"
			expect(t, "start daemons", tool(t, w, "", "qvm-run", "-p", "work", hide).out, "ok\n")
			// first process, three shells, six sleeps
			eventually(t, "all are there", func() bool { return len(proctree.Mentioning(w.QubePath("work"))) == 10 })
			q.SetState(sim.Halted)
			expect(t, "processes of a halted qube", len(proctree.Mentioning(w.QubePath("work"))), 0)
		})
	}
}

// A qube that is not up yet: calls wait for it, up to their time-out.
func TestTransient(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Transient)
	expect(t, "times out", tool(t, w, "", "qrexec-client", "-w", "1", "-d", "work", "DEFAULT:true").code, 1)
	r := start(t, w.Dom0Command(t.Context(), "qrexec-client", "-w", "20", "-d", "work", "DEFAULT:echo up"))
	eventually(t, "second call", func() bool { return w.Calls("qrexec-client") == 2 })
	q.SetState(sim.Running)
	expect(t, "answers once it is up", line(t, r.out), "up")
	expect(t, "exit code", code(t, r), 0)
}

func TestRecreateAndRemove(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Running)
	uuid := q.UUID()
	expect(t, "a file", inside(t, q, "touch", "old").code, 0)
	q.SetState(sim.Halted)
	expect(t, "uuid stays", q.UUID(), uuid)
	q.Recreate()
	expect(t, "another uuid", q.UUID() != uuid, true)
	expect(t, "uuid of qvm-prefs", tool(t, w, "", "qvm-prefs", "work", "uuid").out, q.UUID()+"\n")
	expect(t, "state", q.State(), sim.Halted)
	q.SetState(sim.Running)
	expect(t, "home is empty", inside(t, q, "test", "-e", "old").code, 1)
	q.Remove()
	expect(t, "qvm-check", tool(t, w, "", "qvm-check", "work").code, 1)
	expect(t, "qvm-ls", strings.Contains(tool(t, w, "", "qvm-ls", "--raw-data", "--fields", "NAME").out, "work"), false)
	expect(t, "qvm-run", tool(t, w, "", "qvm-run", "-p", "work", "true").code, 2)
}
