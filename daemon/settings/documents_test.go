package settings

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// TestTheDocumentHasTheTable: docs/settings.md has a row for each setting, in
// the table's order, with the words that the table has, and no other.
func TestTheDocumentHasTheTable(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../../docs/settings.md")
	must(t, err)
	var rows, want []string
	for _, line := range strings.Split(string(b), "\n") {
		if strings.HasPrefix(line, "| `QVM_REMOTE_") && strings.Count(line, "|") == 6 {
			rows = append(rows, line)
		}
	}
	for _, d := range Table() {
		def, when := "–", "at once"
		if d.Default != "" {
			def = "`" + d.Default + "`"
		}
		if d.AtStart {
			when = "next start"
		}
		want = append(want, fmt.Sprintf("| `%s` | %s | %s | %s | %s |", d.Name, def, d.Unit, when, d.Doc))
	}
	if !slices.Equal(rows, want) {
		t.Errorf("docs/settings.md is not what the table says; the rows must be:\n%s", strings.Join(want, "\n"))
	}
}

func TestWhatWaitsForAStartIsNamed(t *testing.T) {
	t.Parallel()
	old, now := Default(), Default()
	now.VMs, now.Concurrent, now.SpoolFree, now.PidsMax = []string{"work"}, 9, 1, 7
	if got := Waiting(old, now); !reflect.DeepEqual(got, []string{"QVM_REMOTE_PIDS_MAX", "QVM_REMOTE_SPOOL_FREE"}) {
		t.Errorf("%q", got)
	}
	if got := Waiting(old, old); len(got) > 0 {
		t.Errorf("nothing changed, and %q waits", got)
	}
}
