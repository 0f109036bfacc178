package run

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNotDelegated says that the daemon has no cgroup v2 that it may divide.
var ErrNotDelegated = errors.New("no delegated cgroup v2; commands are tracked by their parents only (the unit needs Delegate=yes)")

// DelegatedCgroup finds the folder of the cgroup v2 of this process's unit,
// wherever that hierarchy is mounted, and checks that it was delegated to it.
func DelegatedCgroup() (string, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	dir, ok := unitFolder(own, mounts)
	if !ok {
		return "", ErrNotDelegated
	}
	if !delegated(dir) {
		return "", fmt.Errorf("%s: %w", dir, ErrNotDelegated)
	}
	return dir, nil
}

// delegated reports whether systemd marked the group as given away.
func delegated(dir string) bool {
	for _, name := range []string{"trusted.delegate", "user.delegate"} {
		b := make([]byte, 8)
		if n, err := unix.Getxattr(dir, name, b); err == nil && string(b[:n]) == "1" {
			return true
		}
	}
	return false
}

// unitFolder puts together where this process's unit is in the hierarchy and
// where that is mounted. A daemon that has already moved itself is in a group
// below its unit's.
func unitFolder(own, mounts []byte) (string, bool) {
	group, ok := parseOwnGroup(own)
	if !ok {
		return "", false
	}
	root, at, ok := parseCgroupMount(mounts)
	if !ok {
		return "", false
	}
	if path.Base(group) == daemonGroup {
		group = path.Dir(group)
	}
	below, ok := strings.CutPrefix(group, strings.TrimSuffix(root, "/"))
	if !ok || below != "" && below[0] != '/' {
		return "", false
	}
	return path.Join(at, below), true
}

// parseOwnGroup takes the v2 line, "0::PATH", from a /proc/PID/cgroup.
func parseOwnGroup(b []byte) (string, bool) {
	for line := range bytes.Lines(b) {
		p, ok := bytes.CutPrefix(bytes.TrimSuffix(line, []byte("\n")), []byte("0::"))
		if ok && len(p) > 0 && p[0] == '/' && path.Clean(string(p)) == string(p) {
			return string(p), true
		}
	}
	return "", false
}

// parseCgroupMount takes the first cgroup2 mount from a /proc/PID/mountinfo:
// which group is mounted, and where. See proc_pid_mountinfo(5).
func parseCgroupMount(b []byte) (root, at string, ok bool) {
	for line := range bytes.Lines(b) {
		before, after, found := strings.Cut(string(line), " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(kind) == 0 || kind[0] != "cgroup2" {
			continue
		}
		root, at = unescape(fields[3]), unescape(fields[4])
		if path.IsAbs(root) && path.IsAbs(at) {
			return root, at, true
		}
	}
	return "", "", false
}

// unescape undoes the octal escapes of mountinfo.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
