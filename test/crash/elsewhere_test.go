//go:build crashpoints

package crash

import (
	"strings"
	"testing"
)

// elsewhere lists points, by name or by what their names begin with, that no
// story here passes, and says why that is no gap. One that is passed after all
// is a fault too.
var elsewhere = map[string]string{
	"audit.prune":         "needs a log of months; daemon/audit's own crash test stops at these",
	"audit.rebuild:":      "needs hashes lost after a first day; the same",
	"audit.loss:":         "needs records that were lost; the same",
	"audit.reserve:given": "needs a full disk; the write that it makes room for has points of its own",
	"audit.refused-count": "comes after a minute of more than 20 refusals, and counts what changed nothing",
	"burn.cut":            "needs half a line in a list of used ids, which daemon/burn's own test has; stopped there, it is cut off the next time",
	"audit.approved":      "needs a person on a message bus; a request that waits when the daemon is stopped is interrupted like any other, whatever was recorded",
	"approval.keep:":      "the same; the file is in a folder that no boot outlives, and its rename leaves what was granted before or after",
	"audit.suspended":     "needs more forged requests than a day here has; what suspends is written before it, by keys.put-meta, which is stopped at",
	"files.":              "are of a file that a command puts into dom0, which is no state of the daemon's; daemon/files' own crash test stops at each",
	"audit.enabled":       "says what systemd did before, and a simulated dom0 has no systemd",
	"audit.disabled":      "the same",
}

// noneForgotten compares what was stopped at with the list from the source.
func noneForgotten(t *testing.T) {
	_, points := listed(t)
	excused := map[string]bool{}
	for name := range points {
		excuse := ""
		for begin := range elsewhere {
			if strings.HasPrefix(name, begin) {
				excuse, excused[begin] = begin, true
			}
		}
		switch {
		case reached.points[name] && excuse != "":
			t.Errorf("%s is in elsewhere, as %q, and was stopped at here", name, excuse)
		case !reached.points[name] && excuse == "":
			t.Errorf("no story passes %s: tell one, or say in elsewhere who stops there", name)
		}
	}
	for begin := range elsewhere {
		if !excused[begin] {
			t.Errorf("elsewhere has %q, and no point begins so", begin)
		}
	}
	for name := range reached.points {
		if !points[name] {
			t.Errorf("%s was passed, and the list from the source does not have it", name)
		}
	}
}
