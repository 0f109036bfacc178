package sim_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/test/sim"
	"qvmremote/test/sim/proctree"
)

func TestCloseLeavesNoProcess(t *testing.T) {
	t.Parallel()
	w, err := sim.NewAt(filepath.Join(t.TempDir(), "a world"))
	if err != nil {
		t.Fatal(err)
	}
	w.Qube("work", sim.Running)
	w.Qube("still", sim.Paused)
	p := w.Qube("plain", sim.Halted)
	p.Set(sim.Isolation, "plain")
	p.SetState(sim.Running)
	for _, name := range []string{"work", "plain"} {
		r := stream(t, w, name, "echo ready; setsid sleep 1000 & sleep 1000 & wait")
		expect(t, "line", line(t, r.out), "ready")
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	expect(t, "processes", len(proctree.Mentioning(w.Dir)), 0)
}

func TestCloseTellsOfStrays(t *testing.T) {
	t.Parallel()
	w, err := sim.NewAt(filepath.Join(t.TempDir(), "w"))
	if err != nil {
		t.Fatal(err)
	}
	w.Grace = 50 * time.Millisecond
	start(t, w.Dom0Command(context.Background(), "sleep", "1000"))
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "sleep") {
		t.Errorf("Close said %v about a program that was left in dom0", err)
	}
	expect(t, "processes", len(proctree.Mentioning(w.Dir)), 0)
}

// Qubes cannot outlive their power manager, even if it is killed.
func TestQubesEndWithPowerManager(t *testing.T) {
	t.Parallel()
	w, err := sim.NewAt(filepath.Join(t.TempDir(), "w"))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	for i, how := range isolations {
		q := isolated(t, w, []string{"a", "b"}[i], how)
		expect(t, "start a daemon", tool(t, w, "", "qvm-run", q.Name, "setsid sleep 1000 >/dev/null 2>&1 &\n:").code, 0)
	}
	for _, pid := range proctree.Mentioning(w.Dir) {
		if strings.Contains(proctree.Describe(pid), `["qubesd"`) {
			syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	eventually(t, "all processes end", func() bool { return len(proctree.Mentioning(w.Dir)) == 0 })
}

// The tool for scripts makes a world that lives on without its maker, can be
// taken down and up, and tells dom0's environment.
func TestWorldForScripts(t *testing.T) {
	t.Parallel()
	lender := sim.New(t)
	dir := filepath.Join(t.TempDir(), "w")
	script := `set -e
qubes-sim new "$1" --qube work:green --qube personal
eval "$(qubes-sim -w "$1" env)"
qvm-ls --raw-data --fields NAME,STATE,LABEL
printf '#!/bin/sh\necho installed\n' >prog && chmod +x prog
qubes-sim install work prog hello
qubes-sim in work hello
qubes-sim dom0 hostname
qubes-sim create vault:black
qubes-sim pause personal
qubes-sim halt work
qvm-ls --raw-data --fields NAME,STATE,LABEL --exclude dom0
qubes-sim down
qvm-run -p work true || echo down $?
qubes-sim up
qvm-run -p work hello
qubes-sim remove vault
qvm-check vault || echo gone
qubes-sim down`
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	cmd := lender.Dom0Command(ctx, "bash", "-c", script, "bash", dir)
	t.Cleanup(func() { exec.Command(lender.Binary(), "-w", dir, "down").Run() })
	r := finish(t, cmd, "")
	expect(t, "exit code ("+r.err+")", r.code, 0)
	expect(t, "output", r.out, `dom0|Running|black
personal|Running|red
work|Running|green
installed
dom0
personal|Paused|red
vault|Halted|black
work|Halted|green
down 255
installed
gone
`)
	eventually(t, "no process is left", func() bool { return len(proctree.Mentioning(dir)) == 0 })
}

// Worlds do not see each other, and a qube's folder survives its halt.
func TestWorldsAreApart(t *testing.T) {
	t.Parallel()
	a, b := sim.New(t), sim.New(t)
	q := a.Qube("work", sim.Running)
	expect(t, "other world", tool(t, b, "", "qvm-check", "work").code, 1)
	expect(t, "file", inside(t, q, "sh", "-c", "echo kept >f").code, 0)
	q.SetState(sim.Halted)
	b2, err := os.ReadFile(filepath.Join(q.Home(), "f"))
	expect(t, "home", string(b2), "kept\n")
	if err != nil {
		t.Error(err)
	}
	expect(t, "terminal of a halted qube", inside(t, q, "true").code, 1)
}

// A qube whose first process dies is Crashed, and can be started again.
func TestCrash(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	q := w.Qube("work", sim.Halted)
	q.Set(sim.Isolation, "plain")
	q.SetState(sim.Running)
	inside(t, q, "sh", "-c", "kill -9 $PPID; sleep 1000")
	eventually(t, "crashed", func() bool { return q.State() == sim.Crashed })
	expect(t, "cannot be called", tool(t, w, "", "qvm-run", "-n", "-p", "work", "true").code, 1)
	q.SetState(sim.Running)
	expect(t, "again", tool(t, w, "", "qvm-run", "-p", "work", "echo up").out, "up\n")
}

func BenchmarkQvmRun(b *testing.B) {
	w := sim.New(b)
	w.Qube("work", sim.Running)
	for b.Loop() {
		if err := w.Dom0Command(b.Context(), "qvm-run", "--pass-io", "--no-gui", "--no-autostart", "work", "true").Run(); err != nil {
			b.Fatal(err)
		}
	}
}
