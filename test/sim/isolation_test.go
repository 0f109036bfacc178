package sim_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/test/sim"
)

// isolations are the ways to keep qubes apart that the tests go through. Where
// the machine has no namespaces the first is skipped.
var isolations = []string{"user", "plain"}

// isolated makes a running qube that is kept apart in the given way.
func isolated(t *testing.T, w *sim.World, name, how string) *sim.Qube {
	t.Helper()
	q := w.Qube(name, sim.Halted)
	q.Set(sim.Isolation, how)
	if r := tool(t, w, "", "qubes-sim", "start", name); r.code != 0 {
		if how != "plain" && (strings.Contains(r.err, "perm") || strings.Contains(r.err, "fork/exec")) {
			t.Skipf("this machine allows no namespaces: %s", r.err)
		}
		t.Fatalf("start: %+v", r)
	}
	expect(t, "isolation", q.Isolation(), how)
	return q
}

func TestQubeSeesOnlyItself(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"user", "mount"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			a, b := isolated(t, w, "work", how), isolated(t, w, "personal", how)
			secret := filepath.Join(w.Dom0(), "etc", "qubes", "remote.conf")
			mine, other := filepath.Join(a.Home(), "mine"), filepath.Join(b.Home(), "other")
			for _, f := range []string{secret, mine, other} {
				if err := os.WriteFile(f, []byte("x"), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			for _, f := range []string{secret, other, w.Socket(), b.Bin(), filepath.Join(w.Dir, "dom0"), "/root/.ssh", "/proc/1/root" + secret} {
				expect(t, "sees "+f, inside(t, a, "test", "-e", f).code, 1)
			}
			expect(t, "own file", inside(t, a, "cat", "/home/user/mine").out, "x")
			expect(t, "host name", inside(t, a, "uname", "-n").out, "work\n")
			expect(t, "sees no process of the machine", inside(t, a, "sh", "-c", "echo $PPID").out, "1\n")
			if how == "user" {
				expect(t, "is the user", inside(t, a, "id", "-u").out, "1000\n")
				expect(t, "cannot undo it", inside(t, a, "umount", "/tmp").code != 0, true)
			}
			expect(t, "own program folder is read-only", inside(t, a, "sh", "-c", `touch "${PATH%%:*}/x"`).code != 0, true)
			expect(t, "no neighbours", inside(t, a, "ls", "/home").out, "user\n")
		})
	}
}

// What must be the same with namespaces and without.
func TestQubeEnvironment(t *testing.T) {
	t.Parallel()
	for _, how := range isolations {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			q := isolated(t, w, "work", how)
			home := q.Home()
			if how == "user" {
				home = "/home/user"
			}
			for _, tt := range [][2]string{
				{"echo $HOME", home}, {"pwd", home}, {"hostname", "work"}, {"qubesdb-read /name", "work"},
				{"echo $USER $LOGNAME $SHELL", "user user /bin/bash"}, {"echo ${PATH%%:*}", q.Bin()},
				{"env | grep -c SIM_", "0"}, {"umask", "0022"}, {"touch f; ls", "f"},
				{"which qvm-run || echo none", "none"}, {"tty || true", "not a tty"}, {"ps -o sid= -p $$ | tr -d ' '; echo $$", ""},
			} {
				got := strings.TrimSpace(tool(t, w, "", "qvm-run", "-p", "work", tt[0]).out)
				if strings.HasPrefix(tt[0], "ps ") {
					sid, pid, _ := strings.Cut(got, "\n")
					expect(t, "own session", sid, pid)
					continue
				}
				expect(t, tt[0], got, tt[1])
			}
			if _, err := os.Stat(filepath.Join(q.Home(), "f")); err != nil {
				t.Errorf("home is not the one outside: %v", err)
			}
		})
	}
}

// A program in the qube's bin folder is what the shell finds: a test plays a
// hostile agent by installing it as qvm-remote.
func TestInstalledProgramIsFound(t *testing.T) {
	t.Parallel()
	for _, how := range isolations {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			w := sim.New(t)
			q := isolated(t, w, "work", how)
			q.InstallScript("#!/bin/sh\necho hostile \"$@\"\n", "qvm-remote")
			agent := "exec qvm-remote --agent=/home/user/.qvm-remote"
			expect(t, "script", tool(t, w, "", "qvm-run", "-p", "work", agent).out, "hostile --agent=/home/user/.qvm-remote\n")
			self, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			q.Install(self, "qvm-remote")
			r := tool(t, w, "", "qvm-run", "-p", "work", "exec qvm-remote -test.list=NoSuchTest; echo ok")
			expect(t, "a test binary", r, result{"", "", 0})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := q.Command(ctx, "sh", "-c", "echo $QVM_REMOTE_X$OTHER; exit 9")
			cmd.Env = append(cmd.Env, "QVM_REMOTE_X=x", "OTHER=y")
			expect(t, "in a terminal", finish(t, cmd, ""), result{"x\n", "", 9})
		})
	}
}

func TestShareAndEnvironmentKnobs(t *testing.T) {
	t.Parallel()
	w := sim.New(t)
	shared := t.TempDir()
	q := w.Qube("work", sim.Halted)
	q.Set(sim.Share, shared)
	q.Set(sim.Env, "A=1\nB=2 3")
	q.SetUser("alice")
	q.SetState(sim.Running)
	r := inside(t, q, "sh", "-c", `echo "$A $B $USER"; echo x >"$0"`, filepath.Join(shared, "f"))
	expect(t, "environment", r, result{"1 2 3 alice\n", "", 0})
	if _, err := os.Stat(filepath.Join(shared, "f")); err != nil {
		t.Errorf("shared folder: %v", err)
	}
}
