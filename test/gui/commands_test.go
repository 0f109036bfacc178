//go:build gtk

package gui

import (
	"fmt"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// runs has a qube run a command that goes on, and returns its id.
func (s *scene) runs(t *testing.T, qube string) string {
	t.Helper()
	id, err := s.RunForever(t.Context(), qube)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// ends waits until the record says how a request ended.
func (s *scene) ends(t *testing.T, id, state string) {
	t.Helper()
	if err := s.AwaitRecord(t.Context(), id, audit.Final); err != nil {
		t.Fatal(err)
	}
	for _, r := range s.records(t, dbus.Filter{Events: []string{"final"}}) {
		if r.ID == id && r.State != state {
			t.Errorf("the command ended as %q, want %q", r.State, state)
		}
	}
}

// confirm answers yes in a dialog.
func (s *scene) confirm(t *testing.T, heading, button string) {
	t.Helper()
	s.app.Find(t, "dialog", heading).Find(t, "button", button+"*").Press(t)
	s.app.Gone(t, "dialog", heading)
}

func TestCancelOneCommand(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	work, dev := s.runs(t, "work"), s.runs(t, "dev")
	button := s.app.Find(t, "button", "Cancel the command of work*")
	button.Press(t)
	s.app.Find(t, "dialog", "Cancel this command?")
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Cancel this command?")
	if n := s.manager(t).Running; n != 2 {
		t.Fatalf("%d commands run after the question was answered with no", n)
	}
	button.Press(t)
	s.confirm(t, "Cancel this command?", "Cancel the command")
	s.ends(t, work, "cancelled")
	s.becomes(t, "one command runs", func(m dbus.Manager) bool { return m.Running == 1 })
	s.app.Gone(t, "button", "Cancel the command of work*")
	s.app.Find(t, "button", "Cancel the command of dev*").Press(t)
	s.confirm(t, "Cancel this command?", "Cancel the command")
	s.ends(t, dev, "cancelled")
}

func TestStopEverything(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	ids := []string{s.runs(t, "work"), s.runs(t, "dev")}
	s.app.Find(t, "button", "Stop everything*").Press(t)
	s.confirm(t, "Stop everything?", "Stop everything")
	for _, id := range ids {
		s.ends(t, id, "interrupted")
	}
	s.becomes(t, "nothing runs, and nothing new is taken", func(m dbus.Manager) bool {
		return m.State == dbus.Paused && m.Running == 0
	})
	s.app.Find(t, "label", "Paused")
	s.app.Gone(t, "button", "Cancel the command of*")
	s.app.Find(t, "button", "Go on").Press(t)
	s.becomes(t, "the executor goes on", func(m dbus.Manager) bool { return m.State == dbus.Running })
	if a, err := s.Run(t.Context(), "work", "echo again"); err != nil || a.Code != 0 {
		t.Errorf("a command afterwards: %+v, %v", a, err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	before := s.manager(t).Pid
	s.app.Find(t, "label", fmt.Sprintf("*process %d", before))
	s.app.Find(t, "button", "Restart").Press(t)
	s.becomes(t, "another process runs", func(m dbus.Manager) bool { return m.State == dbus.Running && m.Pid != before })
	s.app.Find(t, "label", fmt.Sprintf("*process %d", s.manager(t).Pid))
	s.app.Find(t, "label", "Running")
}

func TestPauseByKey(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.onPage(t, "Activity")
	s.app.Find(t, "list item", "*started*")
	s.Desktop.Key(t, "ctrl+p")
	s.becomes(t, "the executor is paused", func(m dbus.Manager) bool { return m.State == dbus.Paused })
	s.Desktop.Key(t, "ctrl+1")
	s.app.Find(t, "button", "Go on")
	s.Desktop.Key(t, "ctrl+p")
	s.becomes(t, "the executor goes on", func(m dbus.Manager) bool { return m.State == dbus.Running })
}

// TestBootIsSystemdsTruth: what systemd refuses is not shown as done.
func TestBootIsSystemdsTruth(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	s.Systemd.Refuse("EnableUnitFiles", "org.freedesktop.systemd1.UnitMasked", "Unit is masked.")
	boot := s.app.Find(t, "switch", "Start at boot*")
	boot.Press(t)
	dialog := s.app.Find(t, "dialog", "Start at boot?")
	dialog.Find(t, "text box", "").SetText(t, "yes")
	dialog.Find(t, "button", "Start at boot*").Press(t)
	s.app.Find(t, "", "*masked*")
	boot.AwaitState(t, desktop.Checked, false)
	boot.AwaitState(t, desktop.Sensitive, true)
	if s.manager(t).StartsAtBoot {
		t.Error("the service says that it starts at boot")
	}
	// Somebody else changes it.
	s.Systemd.Refuse("EnableUnitFiles", "", "")
	s.Systemd.SetEnabled("qvm-remote-dom0.service", "enabled")
	boot.AwaitState(t, desktop.Checked, true)
}
