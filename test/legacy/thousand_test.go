package legacy_test

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"qvmremote/test/legacy"
)

// TestNoneIsLost: whatever the pauses between the old client's writes, each
// command runs once, and its client has its own answer. LEGACY_COMMANDS says how
// many; a run with 1000 takes minutes.
func TestNoneIsLost(t *testing.T) {
	t.Parallel()
	commands, err := strconv.Atoi(cmp.Or(os.Getenv("LEGACY_COMMANDS"), "60"))
	must(t, err)
	for name, agent := range map[string]bool{"by the agent": true, "by polling": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, old.Client, false)
			if agent { // ours, as another program than the one that submits
				must(t, os.Symlink(ours.client, filepath.Join(h.mocks, "qvm-remote")))
			}
			h.program, h.flag = ours.dom0, true
			h.dom0Env = append(h.dom0Env, "QVM_REMOTE_VM_USER="+nobody)
			h.key = strings.TrimSpace(h.run("", "key", "gen").wants(t, 0).out)
			h.authorize("visyble", h.key)
			cmd := exec.Command(h.program, "--root", h.root, "--vm", "visyble") // for as long as it takes
			cmd.Env = h.dom0Env
			daemon := begin(t, cmd, "")
			t.Cleanup(func() {
				_ = daemon.cmd.Process.Signal(os.Interrupt)
				if e := daemon.end(); t.Failed() {
					t.Logf("the daemon said: %s", e.err)
				}
			})
			ran := filepath.Join(t.TempDir(), "ran")
			slots := make(chan struct{}, 6)
			var all sync.WaitGroup
			for n := range commands {
				all.Add(1)
				slots <- struct{}{}
				go func() {
					defer all.Done()
					defer func() { <-slots }()
					c := *h.homeOf
					c.env = []string{legacy.KnobPoll + "=20ms", fmt.Sprintf("%s=%dms", legacy.KnobPause, n%4*7), fmt.Sprintf("%s=n-%d", legacy.KnobID, n)}
					run := begin(t, c.command("-q", "echo", strconv.Itoa(n), "|", "tee", "-a", ran), "")
					if e := run.end(); e.code != 0 || e.out != strconv.Itoa(n)+"\n" {
						t.Errorf("command %d: %+v", n, e)
					}
				}()
			}
			all.Wait()
			seen := map[string]int{}
			for line := range strings.Lines(read(t, ran)) {
				seen[strings.TrimSpace(line)]++
			}
			for n := range commands {
				if seen[strconv.Itoa(n)] != 1 {
					t.Errorf("command %d ran %d times", n, seen[strconv.Itoa(n)])
				}
			}
		})
	}
}
