package run

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Sweep removes what a daemon that died left behind: its commands, should one
// still be alive, their cgroups and run folders. Call it before the first Run
// and only as the one daemon that uses Dir: commands of another daemon on the
// same Dir die.
func (r *Runner) Sweep(ctx context.Context) error {
	return errors.Join(
		r.sweepSupervisors(ctx),
		r.sweepGroups(),
		r.sweepFolders(),
	)
}

// sweepSupervisors waits for the supervisors of this Dir to end, which they do
// by themselves since their daemon is gone. It then asks them to, and at last
// does their work and kills them.
func (r *Runner) sweepSupervisors(ctx context.Context) error {
	for _, sig := range []unix.Signal{0, unix.SIGTERM, unix.SIGKILL} {
		deadline := time.Now().Add(r.grace())
		pids := r.supervisors()
		for _, pid := range pids {
			if sig == unix.SIGKILL {
				killBelowSubreaper(pid, r.grace())
			}
			_ = unix.Kill(pid, sig)
		}
		for wait := time.Millisecond; len(pids) > 0 && time.Now().Before(deadline); wait = min(2*wait, 50*time.Millisecond) {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(wait):
			}
			pids = r.supervisors()
		}
		if len(pids) == 0 {
			return nil
		}
	}
	if left := r.supervisors(); len(left) > 0 {
		return fmt.Errorf("supervisors of an earlier daemon do not die: %d", left)
	}
	return nil
}

// supervisors finds the living supervisors that work in Dir, by their
// arguments; only root's count if this is root.
func (r *Runner) supervisors() []int {
	var pids []int
	for _, pid := range processes() {
		var st unix.Stat_t
		if unix.Stat(procPath(pid, ""), &st) != nil || int(st.Uid) != os.Geteuid() {
			continue
		}
		b, err := os.ReadFile(procPath(pid, "cmdline")) // empty for a zombie
		if err != nil {
			continue
		}
		args := bytes.Split(b, []byte{0})
		if len(args) > 2 && string(args[0]) == supervisorName && string(args[1]) == superviseArg &&
			filepath.Dir(string(args[2])) == filepath.Clean(r.Dir) {
			pids = append(pids, pid)
		}
	}
	return pids
}

func (r *Runner) sweepGroups() error {
	if r.Cgroup == "" {
		return nil
	}
	var errs []error
	for _, name := range folderNames(r.Cgroup, &errs) {
		if id, ok := strings.CutPrefix(name, commandPrefix); ok && isFolder(id) {
			g := group{path: filepath.Join(r.Cgroup, name)}
			errs = append(errs, g.remove(r.grace()))
		}
	}
	return errors.Join(errs...)
}

func (r *Runner) sweepFolders() error {
	var errs []error
	for _, name := range folderNames(r.Dir, &errs) {
		if isFolder(name) {
			errs = append(errs, os.RemoveAll(filepath.Join(r.Dir, name)))
		}
	}
	return errors.Join(errs...)
}

// folderNames lists the folders in dir, none if dir is missing.
func folderNames(dir string, errs *[]error) []string {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		*errs = append(*errs, err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names
}
