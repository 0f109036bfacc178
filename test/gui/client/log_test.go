//go:build gtk

package client

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"qvmremote/queue"
	"qvmremote/test/life"
)

// TestTheLogIsLiveAndSearched, also while it is rotated.
func TestTheLogIsLiveAndSearched(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "log")
	path := s.Layout(qube).AuditLog()
	s.ran(t, "echo logged")
	s.app.Find(t, "list item", "*cmd=echo logged")
	s.app.Find(t, "list item", "*exit=0")
	// dom0's own line has no zone, and its time before it all the same.
	if said := s.app.Find(t, "list item", "*state=exit").Name; strings.HasPrefix(said, "[") {
		t.Errorf("dom0's line is %q", said)
	}
	add := func(text string) {
		t.Helper()
		if err := queue.AppendLine(path, fmt.Sprintf("[%s] %s", time.Now().Format(time.RFC3339), text)); err != nil {
			t.Fatal(err)
		}
	}
	add("NOTE <b>hay</b>")
	s.app.Find(t, "list item", "*NOTE <b>hay</b>")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	add("NOTE after the rotation")
	s.app.Find(t, "list item", "*NOTE after the rotation")

	s.Desktop.Key(t, "ctrl+f")
	s.Desktop.Type(t, "cmd=ECHO")
	s.app.Gone(t, "list item", "*NOTE*")
	s.app.Find(t, "list item", "*cmd=echo logged") // in the older file
	add("SUBMIT found as it comes cmd=echo")
	s.app.Find(t, "list item", "*found as it comes*")
	add("NOTE not found")
	s.Desktop.Key(t, "Escape")
	s.app.Find(t, "list item", "*NOTE not found")
}
