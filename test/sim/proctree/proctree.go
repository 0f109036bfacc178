// Package proctree sees and signals a process with all its descendants.
//
// It guarantees that Freeze and Kill miss nothing: both go over the tree until
// a pass finds nobody new, and a frozen process cannot make another.
package proctree

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// passes bounds how often the tree is walked before it is given up as a
// process that multiplies faster than it can be stopped.
const passes = 1000

type process struct {
	parent int
	state  byte // as in /proc/PID/stat: R S D T Z …
}

func all() map[int]process {
	found := map[int]process{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return found
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile("/proc/" + e.Name() + "/stat")
		if err != nil {
			continue
		}
		fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
		if len(fields) < 2 {
			continue
		}
		parent, _ := strconv.Atoi(string(fields[1]))
		found[pid] = process{parent, fields[0][0]}
	}
	return found
}

// Children lists the children of pid, also dead ones that nobody collected.
func Children(pid int) []int {
	var children []int
	for p, i := range all() {
		if i.parent == pid {
			children = append(children, p)
		}
	}
	return children
}

// Below lists the living descendants of pid, parents first, without itself.
func Below(pid int) []int {
	processes := all()
	children := map[int][]int{}
	for p, i := range processes {
		children[i.parent] = append(children[i.parent], p)
	}
	var tree []int
	for queue := children[pid]; len(queue) > 0; queue = queue[1:] {
		p := queue[0]
		if processes[p].state != 'Z' {
			tree = append(tree, p)
		}
		queue = append(queue, children[p]...)
	}
	return tree
}

// Freeze stops pid and everything below it.
func Freeze(pid int) error {
	if err := unix.Kill(pid, unix.SIGSTOP); err != nil {
		return fmt.Errorf("freeze process %d: %w", pid, err)
	}
	stopped := map[int]bool{}
	for range passes {
		fresh := false
		for _, p := range Below(pid) {
			if !stopped[p] {
				fresh, stopped[p] = true, true
				unix.Kill(p, unix.SIGSTOP)
			}
		}
		if !fresh {
			return nil
		}
	}
	return fmt.Errorf("freeze process %d: its children multiply too fast", pid)
}

// Thaw lets pid and everything below it go on.
func Thaw(pid int) {
	for _, p := range Below(pid) {
		unix.Kill(p, unix.SIGCONT)
	}
	unix.Kill(pid, unix.SIGCONT)
}

// KillBelow ends everything below pid and waits until it is gone, at most
// until the deadline. Nothing below may be able to leave the tree.
func KillBelow(pid int, deadline time.Time) error {
	for {
		left := Below(pid)
		if len(left) == 0 {
			return nil
		}
		for _, p := range left {
			unix.Kill(p, unix.SIGSTOP)
		}
		for _, p := range left {
			unix.Kill(p, unix.SIGKILL)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes %v do not end", left)
		}
		time.Sleep(time.Millisecond)
	}
}

// Mentioning lists living processes whose executable, folder or environment
// lies in or names dir, except the caller.
func Mentioning(dir string) []int {
	var found []int
	for pid, p := range all() {
		if p.state == 'Z' || pid == os.Getpid() {
			continue
		}
		for _, link := range []string{"exe", "cwd"} {
			if to, err := os.Readlink(fmt.Sprintf("/proc/%d/%s", pid, link)); err == nil && within(to, dir) {
				found = append(found, pid)
				break
			}
		}
		if len(found) > 0 && found[len(found)-1] == pid {
			continue
		}
		if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && bytes.Contains(env, []byte(dir+"/")) {
			found = append(found, pid)
		}
	}
	return found
}

func within(path, dir string) bool { return path == dir || strings.HasPrefix(path, dir+"/") }

// Describe names a process for people.
func Describe(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return fmt.Sprintf("%d %q", pid, bytes.Split(bytes.TrimRight(b, "\x00"), []byte{0}))
}
