//go:build system

package system

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the names of the cgroups that machines run in; the pid of
// the test process follows.
const cgroupPrefix = "qvm-remote-system-"

// hierarchies lists the folders of the cgroup hierarchies that systemd-nspawn
// uses here: the unified one, and systemd's own where that is another.
func hierarchies() ([]string, error) {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	var found []string
	unified := false
	for line := range bytes.Lines(info) {
		// ... root mount-point options - type source super-options
		left, right, _ := strings.Cut(string(line), " - ")
		at, kind := strings.Fields(left), strings.Fields(right)
		if len(at) < 5 || len(kind) < 3 {
			continue
		}
		if kind[0] == "cgroup2" {
			unified = true
		} else if kind[0] != "cgroup" || !strings.Contains(kind[2], "name=systemd") {
			continue
		}
		found = append(found, at[4])
	}
	if !unified {
		return nil, errors.New("no cgroup2 file system is mounted here")
	}
	return found, nil
}

// makeCgroups makes a cgroup for one machine in each hierarchy.
func makeCgroups(name string) ([]string, error) {
	roots, err := hierarchies()
	if err != nil {
		return nil, err
	}
	var made []string
	for _, root := range roots {
		dir := filepath.Join(root, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			removeCgroups(made)
			return nil, fmt.Errorf("make a cgroup: %w", err)
		}
		made = append(made, dir)
	}
	return made, nil
}

// removeCgroups removes cgroups whose processes are about to be gone.
func removeCgroups(dirs []string) error {
	return poll(10*time.Second, func() error {
		var err error
		for _, dir := range dirs {
			err = errors.Join(err, removeTree(dir))
		}
		return err
	})
}

// removeTree removes a cgroup with all below it. The files in it are the
// kernel's and go with their folder.
func removeTree(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		if e.IsDir() {
			err = errors.Join(err, removeTree(filepath.Join(dir, e.Name())))
		}
	}
	if err == nil {
		err = unix.Rmdir(dir)
	}
	return err
}

// clearCgroups removes the empty cgroups that killed runs left.
func clearCgroups() {
	roots, _ := hierarchies()
	for _, root := range roots {
		dirs, _ := filepath.Glob(filepath.Join(root, cgroupPrefix+"*"))
		for _, dir := range dirs {
			owner, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), cgroupPrefix), "-")
			pid, err := strconv.Atoi(owner)
			if err == nil && unix.Kill(pid, 0) != nil {
				_ = removeTree(dir) // busy ones stay for the next run
			}
		}
	}
}
