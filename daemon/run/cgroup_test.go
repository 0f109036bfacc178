package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestOwnGroup(t *testing.T) {
	t.Parallel()
	r := newRunner(t, true)
	got := runScript(t, r, "grep ^0:: /proc/self/cgroup; grep ^0:: /proc/$PPID/cgroup")
	mustExit(t, got, 0)
	lines := strings.Fields(got.out)
	if len(lines) != 2 {
		t.Fatalf("got %v", got)
	}
	name := filepath.Base(lines[0])
	if id, ok := strings.CutPrefix(name, "cmd-"); !ok || !isFolder(id) || filepath.Base(lines[1]) != "daemon" {
		t.Errorf("the command is in %s, its supervisor in %s", lines[0], lines[1])
	}
	if _, err := os.Stat(filepath.Join(unit, name)); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
}

// TestLeavesItsGroup: whatever is still below the supervisor dies, and groups
// that the command made are removed.
func TestLeavesItsGroup(t *testing.T) {
	t.Parallel()
	r := newRunner(t, true)
	got := runScript(t, r, `own='`+r.Cgroup+`'/$(sed -n 's,^0::.*/,,p' /proc/self/cgroup)
		mkdir -p $own/below/deep
		(echo $BASHPID >$own/below/deep/cgroup.procs; setsid sleep 1000 &)
		(echo $BASHPID >'`+r.Cgroup+`'/daemon/cgroup.procs; setsid sleep 1000 &)
		echo $own`)
	mustExit(t, got, 0)
	if own := strings.TrimSpace(got.out); got.err != "" || filepath.Dir(own) != r.Cgroup {
		t.Errorf("got %v", got)
	} else if _, err := os.Stat(own); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
}

func TestSetupTellsWhichLimitsHold(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		r := newRunner(t, grouped)
		r.Limits = Limits{Pids: 1000, Memory: 1 << 30}
		var want []string
		for controller, name := range map[string]string{"pids": "pids.max", "memory": "memory.max"} {
			there := []string{}
			if grouped {
				there, _ = readWords(filepath.Join(unit, "cgroup.controllers"))
			}
			if !slices.Contains(there, controller) {
				want = append(want, name)
			}
		}
		got, err := r.Setup(t.Context())
		slices.Sort(got)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("cgroup=%v: not in force: %q, %v; want %q", grouped, got, err, want)
		}
		mustExit(t, runScript(t, r, "true"), 0)
	}
}

// TestSetupMovesTheOthers: what else is in the unit's group would keep
// controllers from being turned on.
func TestSetupMovesTheOthers(t *testing.T) {
	r := newRunner(t, true)
	// A unit that has not been set up: it can still hold processes itself.
	r.Cgroup = filepath.Join(unit, "fresh.service")
	if err := os.Mkdir(r.Cgroup, 0o755); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_, err := (&Runner{Cgroup: unit}).Setup(context.Background()) // moves this process back
		if err := errors.Join(err, (&group{path: r.Cgroup}).remove(10*time.Second)); err != nil {
			t.Error(err)
		}
	}()
	cmd := newCmd(t, "sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _, _ = cmd.Process.Kill(), cmd.Wait() }()
	pid := strconv.Itoa(cmd.Process.Pid)
	if err := writeFile(filepath.Join(r.Cgroup, "cgroup.procs"), pid); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(ErrCancelled)
	if _, err := r.Setup(ended); !errors.Is(err, ErrCancelled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if _, err := r.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	moved, err := readWords(filepath.Join(r.Cgroup, daemonGroup, "cgroup.procs"))
	if err != nil || !slices.Contains(moved, pid) || !slices.Contains(moved, strconv.Itoa(os.Getpid())) {
		t.Errorf("in the daemon's group: %q, %v", moved, err)
	}
	if left, err := readWords(filepath.Join(r.Cgroup, "cgroup.procs")); err != nil || len(left) > 0 {
		t.Errorf("in the unit's group: %q, %v", left, err)
	}
}

// TestLimitIsSet uses whichever controller there is.
func TestLimitIsSet(t *testing.T) {
	r := newRunner(t, true)
	on, err := readWords(filepath.Join(unit, "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	limits := map[string]limitFile{
		"pids":    {"pids.max", "12345"},
		"memory":  {"memory.max", "1073741824"},
		"hugetlb": {"hugetlb.2MB.max", "2097152"},
	}
	for _, controller := range on {
		if l, ok := limits[controller]; ok {
			r.limitFiles = append(r.limitFiles, l)
		}
	}
	if len(r.limitFiles) == 0 {
		t.Skipf("no controller with a limit to test is on: %q", on)
	}
	for _, l := range r.limitFiles {
		got := runScript(t, r, `cat '`+r.Cgroup+`'/$(sed -n 's,^0::.*/,,p' /proc/self/cgroup)/`+l.name)
		mustExit(t, got, 0)
		if got.out != l.value+"\n" {
			t.Errorf("%s: %v", l.name, got)
		}
	}

	// One that cannot be set means that the command is not run without it.
	r.limitFiles = []limitFile{{"nosuch.max", "1"}}
	got := runScript(t, r, "true")
	if got.Began || got.State != Interrupted || got.Err == nil || !strings.Contains(got.Err.Error(), "nosuch.max") {
		t.Errorf("got %v", got)
	}
	if left, _ := filepath.Glob(filepath.Join(unit, commandPrefix+"*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestSetupFails(t *testing.T) {
	t.Parallel()
	r := newRunner(t, false)
	r.Cgroup, r.Limits = t.TempDir(), Limits{Pids: 5}
	unenforced, err := r.Setup(t.Context())
	if err == nil || !strings.Contains(err.Error(), "cannot use the cgroup") || !slices.Equal(unenforced, []string{"pids.max"}) {
		t.Errorf("got %q, %v", unenforced, err)
	}
	mustExit(t, runScript(t, r, "true"), 0)
}

// TestSweepGroups: a group of a daemon that died, with a process in it.
func TestSweepGroups(t *testing.T) {
	r := newRunner(t, true)
	r.Cgroup = filepath.Join(unit, "swept")
	g := &group{path: filepath.Join(r.Cgroup, "cmd-0123456789abcdef")}
	if err := os.MkdirAll(filepath.Join(g.path, "below"), 0o755); err != nil {
		t.Fatal(err)
	}
	defer removeGroups(r.Cgroup)
	cmd := newCmd(t, "bash", "-c", "echo $$ >'"+g.path+"/below/cgroup.procs'; echo in; exec sleep 1000")
	said := newNotify()
	cmd.Stdout = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-said.some
	gone := make(chan error)
	go func() { gone <- cmd.Wait() }()
	r.Grace = 10 * time.Second
	if err := r.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-gone; err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("the process in it ended with %v", err)
	}
	if _, err := os.Stat(g.path); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
}
