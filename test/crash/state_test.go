package crash

import (
	"testing"

	"qvmremote/test/rules"
)

// TestEveryRecordHasPoints: a change of dom0's state is a record of the audit
// log, and each event has a crash point right before it is written and right
// after it is on the disk. A new event without them fails here.
func TestEveryRecordHasPoints(t *testing.T) {
	t.Parallel()
	tree, points := listed(t)
	events := auditEvents(tree)
	if len(events) < 20 {
		t.Fatalf("only %d events were found; does this test still read daemon/audit rightly?", len(events))
	}
	for _, e := range events {
		for _, step := range []string{":before-record", ":after-record"} {
			if !points["audit."+e+step] {
				t.Errorf("no crash point audit.%s%s: the event %q could be half done after a crash, and no test would see it", e, step, e)
			}
		}
	}
}

// TestEveryChangeInAQubeHasPoints: of the questions dom0 asks, those that are
// answered with a bare "done" change what is in the qube.
func TestEveryChangeInAQubeHasPoints(t *testing.T) {
	t.Parallel()
	tree, _ := listed(t)
	found := 0
	for _, f := range tree.Files {
		if f.Dir() != "daemon/transport" || f.Test() {
			continue
		}
		count := map[string]int{}
		changes := map[string]bool{}
		for _, c := range f.Calls() {
			in := rules.DeclName(c.In)
			switch {
			case c.Pkg == rules.Module+"/daemon/disk" && c.Name == "Point":
				count[in]++
			case c.Pkg == "" && c.Name == "do":
				changes[in] = true
			}
		}
		for in := range changes {
			found++
			if count[in] != 2 {
				t.Errorf("%s: %s changes the qube and has %d crash points, want one before and one after", f.Path, in, count[in])
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d questions were found that change a qube; does this test still read daemon/transport rightly?", found)
	}
}

// listed reads the source and its crash points.
func listed(t *testing.T) (*rules.Tree, map[string]bool) {
	t.Helper()
	root, err := rules.Root()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := rules.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	points, err := tree.Points()
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, p := range points {
		names[p.Name] = true
	}
	return tree, names
}

// auditEvents lists the events that can be in a log: the constants of type
// Event, less the one that is never written.
func auditEvents(tree *rules.Tree) (events []string) {
	for name, event := range tree.Texts("daemon/audit", "Event") {
		if name != "Unreadable" {
			events = append(events, event)
		}
	}
	return events
}
