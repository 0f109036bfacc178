//go:build gtk

package gui

import (
	"testing"

	"qvmremote/dbus"
	"qvmremote/gui/prefs"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// TestNarrow: at 360 pixels everything is reached, one page at a time.
func TestNarrow(t *testing.T) {
	t.Parallel()
	s := prepare(t, 0, life.Options{Stopped: true})
	p := prefs.Default()
	p.Width, p.Height = 360, 720
	if err := p.Save(s.settingsFile()); err != nil {
		t.Fatal(err)
	}
	s.connect(t)
	s.launch(t, "overview")
	if w, _ := s.Size(t); w != 360 {
		t.Errorf("the window is %d wide", w)
	}
	s.app.Find(t, "button", "Start").Press(t)
	s.becomes(t, "the executor runs", func(m dbus.Manager) bool { return m.State == dbus.Running })
	s.ran(t, "work", "echo a rather long command that does not fit on one line of a narrow window")

	s.app.Find(t, "button", "Back*").Press(t)
	s.app.Gone(t, "label", "Running")
	s.app.Find(t, "list item", "Activity").Press(t)
	s.app.Find(t, "list item", "*echo a rather long*").Press(t)
	s.app.Find(t, "label", "Steps in the record")
	step := s.app.Find(t, "label", "the qube has the result").Bounds(t)
	if pill := s.app.Find(t, "label", "delivered").Bounds(t); step.Min.Y < pill.Max.Y {
		t.Errorf("a step is said at %v, beside %v, where there is no room for it", step, pill)
	}
	s.app.Find(t, "button", "Back*").Press(t)
	s.app.Find(t, "button", "Choose what is shown*").Toggle(t)
	s.choose(t, "Outcome", "Failed")
	s.app.Find(t, "", "Nothing was found")
	s.app.Find(t, "button", "Back*").Press(t)
	s.app.Find(t, "list item", "Qubes").Press(t)
	s.app.Find(t, "list item", "work, label*").Press(t)
	s.app.Find(t, "button", "Revoke…*").Press(t)
	s.confirm(t, "Revoke work?", "Revoke")
	desktop.Await(t, "the key is gone", func() bool { return s.keyFile(t, "work") == "" })
	if w, _ := s.Size(t); w != 360 {
		t.Errorf("the window has become %d wide", w)
	}
}
