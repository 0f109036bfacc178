package legacy_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/test/legacy"
)

// TestOldClientWithOurDaemon needs the daemon's legacy mode, see
// TestDaemonAsTheFirstOneWasTested. The old client is stopped between any two of
// its writes while our daemon looks, and loses nothing.
func TestOldClientWithOurDaemon(t *testing.T) {
	t.Parallel()
	needsLegacyMode(t)
	h := newHarness(t, old.Client, true)
	h.program, h.flag = ours.dom0, true
	h.dom0Env = append(h.dom0Env, "QVM_REMOTE_VM_USER="+nobody)
	h.key = strings.TrimSpace(h.run("", "key", "gen").wants(t, 0).out)
	h.authorize("visyble", h.key)
	daemon := begin(t, h.dom0Command("--vm", "visyble"), "")
	t.Cleanup(func() {
		_ = daemon.cmd.Process.Signal(os.Interrupt)
		if e := daemon.end(); t.Failed() {
			t.Logf("the daemon said: %s", e.err)
		}
	})
	for _, point := range legacy.ClientPoints {
		t.Run(point, func(t *testing.T) {
			g := gate{t: t, dir: t.TempDir()}
			g.inside = g.dir
			c := *h.homeOf
			c.t, c.env = t, append(g.env(point), legacy.KnobID+"=stop.at-"+point, legacy.KnobPoll+"=20ms")
			mark := filepath.Join(g.dir, "mark")
			run := begin(t, c.command("-q", "echo", "one", ">>", mark, ";", "echo", "done", ";", "exit", "3"), "")
			g.reached(point)
			// Looks go on meanwhile: another command is found, run and answered.
			other := *h.homeOf
			other.t = t
			other.run("", "-q", "echo", "other").wants(t, 0, "other\n")
			g.open(point)
			run.end().wants(t, 3, "done\n")
			if got := read(t, mark); got != "one\n" {
				t.Errorf("it ran %d times", strings.Count(got, "one"))
			}
		})
	}
	h.run("", "-q", "agent").wants(t, 127) // a command that dom0 has not
	h.run("", "ping").wants(t, 0)
}
