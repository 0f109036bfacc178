//go:build gtk

package gui

import (
	"testing"

	"qvmremote/test/life"
)

// TestNoticeOfWhatRuns: the desktop is told of a qube whose command begins to
// run, and again when it is over; nothing of it before somebody wants that.
func TestNoticeOfWhatRuns(t *testing.T) {
	t.Parallel()
	s := prepare(t, 0, life.Options{})
	told := s.Notices(t)
	s.connect(t)
	s.launch(t, "overview")
	s.app.Find(t, "label", "Running")
	s.runs(t, "work")
	s.app.Find(t, "button", "Cancel the command of work*")
	if len(told.Titles) != 0 {
		t.Fatalf("the desktop was told %q", <-told.Titles)
	}
	s.Desktop.Key(t, "F10")
	s.app.Find(t, "", "Notify when a command runs").Press(t)
	s.app.Gone(t, "", "Notify when a command runs")
	s.runs(t, "dev")
	told.Await(t, "dev runs a command in dom0")
	s.app.Find(t, "button", "Cancel the command of dev*").Press(t)
	s.confirm(t, "Cancel this command?", "Cancel the command")
	told.Await(t, "")
}
