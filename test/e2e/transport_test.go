package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"qvmremote/test/sim"
)

// by is the transport of this run, as QVM_REMOTE_TRANSPORT has it: the suite runs
// once with each, and whole with the first.
var by = cmp.Or(os.Getenv("E2E_TRANSPORT"), "stream")

// By polling, each delivery is some twenty processes.
func init() {
	if by == "poll" {
		patience *= 3
	}
}

// tool is the program that dom0 calls qubes with, as the simulator counts it.
func tool() string {
	if by == "stream" {
		return "qvm-run"
	}
	return "qrexec-client"
}

// cannot is what polling has no answer to, and why. All else must hold for each
// transport; docs/protocol.md §7 says the same.
var cannot = map[string]string{
	"TestLyingAgents":             "no agent is called, so none can lie: daemon/transport/poll has the lies of a shell",
	"TestSpinningWaitIsSlowed":    "dom0 chooses the moment of each look",
	"TestStalledFrame":            "there are no frames",
	"TestRefusingAgentIsReplaced": "there is no agent that could refuse; the qube's disk can, see TestQubeDiskIsFull",
	"TestEndlessNamesAreCounted":  "a look brings 16 names at most, whatever the qube says",
}

// agents is called by a test that needs them.
func agents(t *testing.T) {
	t.Helper()
	if why, no := cannot[t.Name()]; by == "poll" && no {
		t.Skip("by polling: " + why)
	}
}

// once is called by a test of what lies behind every transport, such as who may do
// what: in a short run by another than the first it is left out.
func once(t *testing.T) {
	t.Helper()
	if testing.Short() && by != "stream" {
		t.Skip("a short run: this lies behind every transport, and is shown by stream")
	}
}

// tellWhatCannot lists what this run leaves out.
func tellWhatCannot() {
	if by != "poll" {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(cannot)) {
		fmt.Printf("by polling there is no %s: %s\n", name, cannot[name])
	}
}

// TestAPolledQubeThatGoesDownStaysDown: a qvm-run that begins as a qube shuts
// down by itself starts it again, and polling always has a call on its way.
func TestAPolledQubeThatGoesDownStaysDown(t *testing.T) {
	t.Parallel()
	if by != "poll" {
		t.Skip("an agent's connection is no call that begins")
	}
	h := newHouse(t, "work")
	q := h.of("work")
	h.SetKnob(sim.Events, "absent")
	h.quick()
	q.Set(sim.Race, "1")
	for range 3 {
		q.works()
		before := q.Boots()
		q.SetState(sim.Halting)
		q.seen("Halting")
		if n := q.Boots() - before; n > 0 {
			t.Errorf("dom0 started it again %d times", n)
		}
		q.SetState(sim.Running)
	}
	if n := h.Calls("qvm-run"); n > 0 {
		t.Errorf("qvm-run was called %d times", n)
	}
}

// TestWithoutQrexecClient: who did not ask for it is served without.
func TestWithoutQrexecClient(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work")
	must(t, os.Remove(filepath.Join(h.Dom0Bin(), "qrexec-client")))
	h.quick()
	if by == "qrexec" {
		h.of("work").seen("cannot connect")
		return
	}
	h.of("work").works()
	if n := h.Calls("qvm-run"); n == 0 {
		t.Error("qvm-run was not called")
	}
}
