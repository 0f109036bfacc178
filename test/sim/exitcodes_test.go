package sim_test

import (
	"strings"
	"syscall"
	"testing"

	"qvmremote/test/sim"
)

// The exit codes of qvm-run.
func TestQvmRunExitCodes(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	w.Qube("off", sim.Halted)
	w.Qube("still", sim.Paused)
	w.Qube("broken", sim.Halted).Set(sim.StartFail, "1")
	for name, code := range map[string]string{"problem": "125", "refused": "126", "lost": "255"} {
		w.Qube(name, sim.Running).Set(sim.Refuse, code)
	}
	tests := []struct {
		statement string
		args      []string
		code      int
		silent    bool
	}{
		{"n: status of the process, with --pass-io", []string{"-p", "work", "exit 42"}, 42, true},
		{"n: and without", []string{"-q", "work", "exit 42"}, 42, true},
		{"128+sig: killed by a signal", []string{"-p", "work", "kill -TERM $$"}, 128 + 15, true},
		{"low 8 bits of a VM-chosen int", []string{"-p", "work", "exit 259"}, 3, true},
		{"1: not running with -n, silent", []string{"-p", "-n", "off", "true"}, 1, true},
		{"1: paused with -n, silent", []string{"-p", "-n", "still", "true"}, 1, true},
		{"2: argparse error", []string{"--bogus", "work", "true"}, 2, false},
		{"2: unknown VM name", []string{"-p", "nope", "true"}, 2, false},
		{"2: zero VMs", []string{"-p"}, 2, false},
		{"2: no command", []string{"-p", "work"}, 2, false},
		{"2: options must precede VMNAME", []string{"work", "--pass-io", "true"}, 2, false},
		{"2: --localcmd needs --pass-io", []string{"--localcmd", "true", "work", "true"}, 2, false},
		{"2: --all not with --pass-io", []string{"--all", "--pass-io", "true"}, 2, false},
		{"2: --exclude needs --all", []string{"--exclude", "off", "work", "true"}, 2, false},
		{"125: qrexec problem", []string{"-p", "problem", "true"}, 125, false},
		{"125: no such user", []string{"-p", "-u", "mallory", "work", "true"}, 125, false},
		{"126: request refused", []string{"-p", "refused", "true"}, 126, false},
		{"127: service not found", []string{"-p", "--service", "work", "no.Such"}, 127, false},
		{"255: QubesException, start failed", []string{"-p", "broken", "true"}, 255, false},
		{"255: from the client", []string{"-p", "lost", "true"}, 255, false},
		{"dom0 is no target", []string{"-p", "dom0", "true"}, 255, false},
	}
	for _, tt := range tests {
		t.Run(tt.statement, func(t *testing.T) {
			r := tool(t, w, "", "qvm-run", tt.args...)
			expect(t, "exit code of "+strings.Join(tt.args, " "), r.code, tt.code)
			expect(t, "silent ("+r.err+")", r.err == "", tt.silent)
			expect(t, "stdout", r.out, "")
		})
	}
}

// 0: "local qrexec-client killed by a signal (max(0,-N))".
func TestKilledClientIsSuccess(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	r := stream(t, w, "work", "echo ready; sleep 1000")
	expect(t, "line", line(t, r.out), "ready")
	killClient(t, w, syscall.SIGTERM)
	expect(t, "exit code", code(t, r), 0)
}

// 130-ish: "KeyboardInterrupt forwards SIGINT to the client".
func TestInterrupt(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	w.Qube("work", sim.Running)
	r := stream(t, w, "work", "echo ready; sleep 1000")
	expect(t, "line", line(t, r.out), "ready")
	r.Process.Signal(syscall.SIGINT)
	expect(t, "exit code", code(t, r), 130)
}

// 255: "data vchan closed early": the qube goes down under the call.
func TestQubeGoesDownUnderCall(t *testing.T) {
	t.Parallel()
	for _, how := range isolations {
		for _, state := range []string{"Halted", "Crashed"} {
			t.Run(how+" "+state, func(t *testing.T) {
				t.Parallel()
				w := sim.New(t)
				q := isolated(t, w, "work", how)
				r := stream(t, w, "work", "echo ready; sleep 1000; echo never")
				expect(t, "line", line(t, r.out), "ready")
				tool(t, w, "", "qubes-sim", "state", "work", state)
				expect(t, "next", line(t, r.out), " <EOF>")
				expect(t, "exit code", code(t, r), 255)
				expect(t, "state", string(q.State()), state)
			})
		}
	}
}

// killClient ends the qrexec-client that the last qvm-run started.
func killClient(t *testing.T, w *sim.World, s syscall.Signal) {
	t.Helper()
	calls, err := w.World.Calls()
	if err != nil {
		t.Fatal(err)
	}
	last := calls[len(calls)-1]
	expect(t, "last call", last.Tool, "qvm-run/qrexec-client")
	if err := syscall.Kill(last.Pid, s); err != nil {
		t.Fatal(err)
	}
}
