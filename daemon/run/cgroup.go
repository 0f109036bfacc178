package run

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	daemonGroup   = "daemon" // the daemon's own group below its unit's
	commandPrefix = "cmd-"   // a command's group: this and its folder's name
)

// Limits are upper bounds for one command and all its descendants; 0 is none.
type Limits struct {
	Pids   int64 // processes and threads
	Memory int64 // bytes
}

// limitFile is a file of a command's group and what is written to it.
type limitFile struct{ name, value string }

// Setup makes r.Cgroup ready: it moves the daemon, and whatever else is in the
// unit's group, into a group below it, because one with controllers cannot
// hold processes itself, and turns on the controllers there are. It returns
// which of r.Limits are not in force. On error commands run without cgroup.
func (r *Runner) Setup(ctx context.Context) (unenforced []string, err error) {
	wanted := []struct {
		controller string
		limitFile
	}{
		{"pids", limitFile{"pids.max", strconv.FormatInt(r.Limits.Pids, 10)}},
		{"memory", limitFile{"memory.max", strconv.FormatInt(r.Limits.Memory, 10)}},
	}
	var on []string
	if r.Cgroup != "" {
		on, err = prepareGroup(ctx, r.Cgroup)
	}
	r.grouped = r.Cgroup != "" && err == nil
	r.limitFiles = nil
	for _, w := range wanted {
		switch {
		case w.value == "0":
		case r.grouped && slices.Contains(on, w.controller):
			r.limitFiles = append(r.limitFiles, w.limitFile)
		default:
			unenforced = append(unenforced, w.name)
		}
	}
	if err != nil {
		err = fmt.Errorf("cannot use the cgroup %s: %w", r.Cgroup, err)
	}
	return unenforced, err
}

// prepareGroup returns which controllers are on for groups below unit.
func prepareGroup(ctx context.Context, unit string) (on []string, err error) {
	if _, err := os.Stat(filepath.Join(unit, "cgroup.kill")); err != nil {
		return nil, fmt.Errorf("this kernel cannot kill a cgroup (Linux 5.14 can): %w", err)
	}
	own := filepath.Join(unit, daemonGroup)
	if err := os.Mkdir(own, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := writeFile(filepath.Join(own, "cgroup.procs"), "0"); err != nil { // this process
		return nil, err
	}
	if err := moveAll(ctx, unit, own); err != nil {
		return nil, err
	}
	there, err := readWords(filepath.Join(unit, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	for _, c := range there {
		// One that cannot be turned on is not listed afterwards.
		_ = writeFile(filepath.Join(unit, "cgroup.subtree_control"), "+"+c)
	}
	return readWords(filepath.Join(unit, "cgroup.subtree_control"))
}

// moveAll moves every process of one group into another. Those that start
// meanwhile are found in the next pass.
func moveAll(ctx context.Context, from, to string) error {
	for range 100 {
		pids, err := readWords(filepath.Join(from, "cgroup.procs"))
		if err != nil || len(pids) == 0 {
			return err
		}
		for _, pid := range pids {
			err := writeFile(filepath.Join(to, "cgroup.procs"), pid)
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return err
			}
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
	}
	return fmt.Errorf("processes go on starting in %s", from)
}

// group is the cgroup of one command.
type group struct {
	path string
	dir  *os.File // for the supervisor
}

// newGroup makes a command's group with its limits; nil if there are none.
func (r *Runner) newGroup(folder string) (*group, error) {
	if !r.grouped {
		return nil, nil
	}
	g := &group{path: filepath.Join(r.Cgroup, commandPrefix+filepath.Base(folder))}
	err := os.Mkdir(g.path, 0o755)
	for _, l := range r.limitFiles {
		if err == nil {
			err = writeFile(filepath.Join(g.path, l.name), l.value)
		}
	}
	if err == nil {
		g.dir, err = os.Open(g.path)
	}
	if err != nil {
		_ = os.Remove(g.path)
		return nil, fmt.Errorf("cannot make the command's cgroup: %w", err)
	}
	return g, nil
}

// remove kills what is left in the group and in those that the command made
// below it, and removes them all.
func (g *group) remove(patience time.Duration) error {
	deadline := time.Now().Add(patience)
	for wait := time.Millisecond; ; wait = min(2*wait, 50*time.Millisecond) {
		err := removeGroups(g.path)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("cannot remove the command's cgroup: %w", err)
		}
		_ = writeFile(filepath.Join(g.path, "cgroup.kill"), "1")
		time.Sleep(wait)
	}
}

// removeGroups removes a group after those below it. In cgroupfs only folders
// can be removed, so that os.RemoveAll is of no use.
func removeGroups(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeGroups(filepath.Join(path, e.Name())); err != nil {
				return err
			}
		}
	}
	return unix.Rmdir(path)
}

// killGroup kills all processes of the group that is open as dir, and below.
func killGroup(dir int) error {
	fd, err := unix.Openat(dir, "cgroup.kill", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	_, err = unix.Write(fd, []byte("1"))
	return errors.Join(err, unix.Close(fd))
}

// writeFile writes to a file of the kernel's, which is there or is an error.
func writeFile(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	return errors.Join(err, f.Close())
}

func readWords(path string) ([]string, error) {
	b, err := os.ReadFile(path)
	return strings.Fields(string(b)), err
}
