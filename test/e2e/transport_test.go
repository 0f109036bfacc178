package e2e

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"slices"
	"testing"
)

// by is the transport of this run, as QVM_REMOTE_TRANSPORT has it: the whole
// suite runs once with each.
var by = cmp.Or(os.Getenv("E2E_TRANSPORT"), "stream")

// By polling, each delivery is some twenty processes.
func init() {
	if by == "poll" {
		patience *= 3
	}
}

// tool is the program that dom0 calls qubes with, as the simulator counts it.
func tool() string {
	if by == "qrexec" {
		return "qrexec-client"
	}
	return "qvm-run"
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

// tellWhatCannot lists what this run leaves out.
func tellWhatCannot() {
	if by != "poll" {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(cannot)) {
		fmt.Printf("by polling there is no %s: %s\n", name, cannot[name])
	}
}
