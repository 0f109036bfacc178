package admin

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// lowSpace is what the audit log should have beside its reserve.
const lowSpace = 64 << 20 // bytes

// space finds disks that are, or soon will be, too full to take requests.
func (x *examination) space() {
	if free, err := freeBytes(x.a.Root.Spool()); err == nil && free < x.set.SpoolFree {
		x.say(Bad, "free some space, or lower QVM_REMOTE_SPOOL_FREE", "the disk of %s has %d MiB free, less than QVM_REMOTE_SPOOL_FREE: new requests are denied",
			x.a.Root.Spool(), free>>20)
	}
	if free, err := freeBytes(x.a.Root.Audit()); err == nil && free < lowSpace {
		x.say(Warning, "free some space", "the disk of %s has %d MiB free; when it is full, nothing runs any more", x.a.Root.Audit(), free>>20)
	}
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// limits finds limits of commands that are set but that no cgroup enforces.
func (x *examination) limits(pid int) {
	wanted := map[string]bool{"pids": x.set.PidsMax > 0, "memory": x.set.MemoryMax > 0}
	if !wanted["pids"] && !wanted["memory"] {
		return
	}
	enabled := enabledControllers(pid)
	for _, name := range []string{"pids", "memory"} {
		if wanted[name] && !slices.Contains(enabled, name) {
			x.say(Warning, "start the daemon by its systemd unit, which delegates a cgroup v2 to it",
				"a limit of %s is set but not in force: commands run without it", name)
		}
	}
}

// enabledControllers are those that the commands of the executor pid get: it
// moves itself into a child of its unit's cgroup and enables them there.
func enabledControllers(pid int) []string {
	b, err := readBounded(fmt.Sprintf("/proc/%d/cgroup", pid), 64<<10)
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(b)) {
		path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !ok || filepath.Base(path) != "daemon" {
			continue
		}
		for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
			b, err := os.ReadFile(filepath.Join(mount, filepath.Dir(path), "cgroup.subtree_control"))
			if err == nil {
				return strings.Fields(string(b))
			}
		}
	}
	return nil
}
