package run

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// killFor bounds the attempt to kill what is left. Only a process that the
// kernel itself does not let die takes longer; the signal is then waiting.
const killFor = time.Minute

// killAll kills the descendants of this process, which must be a subreaper,
// until gone is closed: until it has no child left. Killed parents leave their
// children to the subreaper, so that a pass always finds the top of what is
// still alive, whoever forked it and whichever session it is in.
func killAll(gone <-chan struct{}, group int) {
	self := os.Getpid()
	deadline := time.Now().Add(killFor)
	// The first wait is for the usual case, in which nothing is left.
	for wait := 100 * time.Microsecond; time.Now().Before(deadline); wait = min(2*wait, 20*time.Millisecond) {
		t := time.NewTimer(wait)
		select {
		case <-gone:
			t.Stop()
			return
		case <-t.C:
		}
		if group >= 0 {
			_ = killGroup(group)
		}
		killBelow(self)
	}
}

// killBelow kills the descendants of pid that it sees, parents before their
// children, and returns how many of them were still alive. A killed parent
// forks no more: its children are below it, or below the subreaper by the next
// pass. The lists are read and used at once, while the dead among them keep
// their numbers until they are reaped; a number that was reaped in between is
// not given out again before all others were.
func killBelow(pid int) (living int) {
	todo := []int{pid}
	for len(todo) > 0 {
		parent := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, child := range children(parent) {
			// One that waits to be reaped may still have other threads.
			if s, ok := readStat(child); ok && s.state != 'Z' {
				living++
			}
			_ = unix.Kill(child, unix.SIGKILL)
			todo = append(todo, child)
		}
	}
	return living
}

// killBelowSubreaper does what killAll does for another process that does not
// do it, without reaping.
func killBelowSubreaper(pid int, patience time.Duration) {
	deadline := time.Now().Add(patience)
	for killBelow(pid) > 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
}

// children lists the children of pid, as far as they can be seen now.
func children(pid int) []int {
	dir := procPath(pid, "task")
	threads, err := os.ReadDir(dir)
	if err != nil {
		return nil // gone
	}
	var pids []int
	for _, t := range threads {
		b, err := os.ReadFile(filepath.Join(dir, t.Name(), "children"))
		if errors.Is(err, fs.ErrNotExist) && !hasChildrenFile() {
			return scanChildren(pid)
		}
		for _, f := range bytes.Fields(b) {
			if n, err := strconv.Atoi(string(f)); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// hasChildrenFile reports whether this kernel lists children
// (CONFIG_PROC_CHILDREN).
func hasChildrenFile() bool {
	self := os.Getpid()
	_, err := os.Stat(procPath(self, filepath.Join("task", strconv.Itoa(self), "children")))
	return err == nil
}

// scanChildren finds the children of pid by looking at every process.
func scanChildren(pid int) []int {
	var pids []int
	for _, p := range processes() {
		if s, ok := readStat(p); ok && s.parent == pid {
			pids = append(pids, p)
		}
	}
	return pids
}

type stat struct {
	state  byte // 'R', 'S', 'Z', …
	parent int
}

// readStat tells nothing of a process that is gone.
func readStat(pid int) (stat, bool) {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return stat{}, false
	}
	return parseStat(b)
}

// parseStat reads a /proc/PID/stat, in which the name of the program stands in
// parentheses and may hold anything.
func parseStat(b []byte) (stat, bool) {
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 2 || len(fields[0]) != 1 {
		return stat{}, false
	}
	parent, err := strconv.Atoi(string(fields[1]))
	return stat{fields[0][0], parent}, err == nil && parent >= 0
}

func processes() []int {
	d, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	names, _ := d.Readdirnames(-1) // what was read of it is still of use
	_ = d.Close()
	var pids []int
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			pids = append(pids, n)
		}
	}
	return pids
}

func procPath(pid int, name string) string {
	return filepath.Join("/proc", strconv.Itoa(pid), name)
}
