//go:build crashpoints

package run

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestCrash kills the daemon at each point: afterwards no process of the
// command is left, the shell ran only after the start, and Sweep cleans up.
func TestCrash(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		for _, point := range []struct {
			name string
			ran  bool
		}{
			{"run.folder-made", false},
			{"run.supervised", false},
			{"run.before-start", false},
			{"run.after-start", true},
			{"run.ended", true},
			{"run.removed", true},
		} {
			t.Run(fmt.Sprintf("%s,cgroup=%v", point.name, grouped), func(t *testing.T) {
				mark := filepath.Join(t.TempDir(), "mark")
				d := newDaemon(t, grouped, "touch '"+mark+"'; sleep 1000 & while [ ! -e '"+mark+".go' ]; do :; done")
				if point.ran && point.name != "run.after-start" {
					if err := os.WriteFile(mark+".go", nil, 0o600); err != nil {
						t.Fatal(err)
					}
				}
				cmd := newCmd(t, d.args[0], d.args[1:]...)
				cmd.Env = append(os.Environ(), "QVM_REMOTE_CRASH="+point.name)
				if err := cmd.Run(); err == nil || err.Error() != "signal: killed" {
					t.Fatalf("the daemon ended with %v", err)
				}
				eventually(t, "no process is left", func() bool { return len(processesOf(d.id)) == 0 })
				if _, err := os.Stat(mark); err == nil && !point.ran {
					t.Error("the command ran")
				} else if err != nil && point.ran && point.name != "run.after-start" {
					t.Error("the command did not run") // right after the start it may die first
				}
				if err := d.r.Sweep(t.Context()); err != nil {
					t.Error(err)
				}
				if left := leftovers(t, d.r); len(left) > 0 {
					t.Errorf("left behind: %q", left)
				}
			})
		}
	}
}
