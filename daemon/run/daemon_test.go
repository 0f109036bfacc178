package run

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const daemonArg = "--stand-in-daemon"

// standInDaemon runs one command in a process that a test can kill.
func standInDaemon(args []string) int {
	r := &Runner{Dir: args[0], Home: args[1], Cgroup: args[2], Path: os.Getenv("PATH")}
	if _, err := r.Setup(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	c := Command{Script: args[3], ID: args[4], Timeout: time.Minute, Out: os.Stdout, Err: os.Stderr}
	return r.Run(context.Background(), c).Exit
}

// daemon is a stand-in that has not been started yet.
type daemon struct {
	t    *testing.T
	r    *Runner
	id   string
	args []string
}

func newDaemon(t *testing.T, grouped bool, script string) *daemon {
	t.Helper()
	r := newRunner(t, false)
	if grouped {
		if unit == "" {
			t.Skip("no writable cgroup v2 here: " + noUnit)
		}
		// Its own: a daemon moves all that is in its unit's group.
		r.Cgroup = filepath.Join(filepath.Dir(unit), "daemon-of-"+filepath.Base(unit))
		if err := os.Mkdir(r.Cgroup, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := (&group{path: r.Cgroup}).remove(10 * time.Second); err != nil {
				t.Error(err)
			}
		})
	}
	c := command(t, script)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &daemon{t, r, c.ID, []string{self, daemonArg, r.Dir, r.Home, r.Cgroup, c.Script, c.ID}}
}

// through starts the daemon by way of another program.
func (d *daemon) through(name string, args ...string) *exec.Cmd {
	return newCmd(d.t, name, append(args, d.args...)...)
}

// newCmd makes a command that does not outlive the test.
func newCmd(t *testing.T, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.WaitDelay = time.Second
	return cmd
}

// startAndKill starts the daemon, waits until the command has said something
// and kills the daemon.
func (d *daemon) startAndKill() {
	d.t.Helper()
	cmd := newCmd(d.t, d.args[0], d.args[1:]...)
	said := newNotify()
	cmd.Stdout = said
	if err := cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	select {
	case <-said.some:
	case <-time.After(time.Minute):
		d.t.Error("the command has not begun")
	}
	if len(processesOf(d.id)) == 0 {
		d.t.Error("no process of the command is found")
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestDaemonDies(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		t.Run(fmt.Sprintf("cgroup=%v", grouped), func(t *testing.T) {
			d := newDaemon(t, grouped, lingering+"\necho ready; sleep 1000")
			d.startAndKill()
			eventually(t, "no process is left", func() bool { return len(processesOf(d.id)) == 0 })
			if len(leftovers(t, d.r)) != 1 {
				t.Errorf("left behind: %q, want one run folder", leftovers(t, d.r))
			}
			mine := filepath.Join(d.r.Dir, "not-a-run-folder")
			if err := os.Mkdir(mine, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := d.r.Sweep(t.Context()); err != nil {
				t.Error(err)
			}
			if left := leftovers(t, d.r); len(left) != 1 || left[0] != filepath.Base(mine) {
				t.Errorf("after sweeping there is %q", left)
			}
			if grouped {
				if left, _ := filepath.Glob(filepath.Join(d.r.Cgroup, commandPrefix+"*")); len(left) > 0 {
					t.Errorf("after sweeping there is %q", left)
				}
			}
		})
	}
}

// TestSweepStuckSupervisor: a supervisor that was stopped has not seen its
// daemon die.
func TestSweepStuckSupervisor(t *testing.T) {
	d := newDaemon(t, false, lingering+"kill -STOP $PPID; echo ready; sleep 1000")
	d.startAndKill()
	var pids []int
	eventually(t, "the supervisor is stopped", func() bool {
		pids = d.r.supervisors()
		return len(pids) == 1
	})
	d.r.Grace = 50 * time.Millisecond
	if err := d.r.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	eventually(t, "no process is left", func() bool { return len(processesOf(d.id)) == 0 })
	if left := leftovers(t, d.r); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestSweepLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	r, other := newRunner(t, false), newRunner(t, false)
	c := command(t, "echo $PPID; cat <(sleep 1000)")
	said := newNotify()
	c.Out = said
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan result)
	go func() { done <- runCommand(t, ctx, r, c) }()
	<-said.some
	if err := other.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(said.String()))
	if err != nil || unix.Kill(pid, 0) != nil {
		t.Errorf("the supervisor of another folder is gone: %v", err)
	}
	select {
	case got := <-done:
		t.Errorf("ended: %v", got)
	default:
	}
	cancel()
	if got := <-done; got.State != Interrupted || got.Exit != 125 {
		t.Errorf("got %v", got)
	}
}
