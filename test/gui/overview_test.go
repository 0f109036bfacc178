//go:build gtk

package gui

import (
	"testing"

	"qvmremote/dbus"
	"qvmremote/test/life"
)

func TestStartAndStop(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "overview")
	s.app.Find(t, "label", "Stopped")
	if s.manager(t).State != dbus.Stopped {
		t.Fatal("opening the program started the executor")
	}
	s.app.Find(t, "button", "Start").Press(t)
	s.becomes(t, "the executor runs", func(m dbus.Manager) bool { return m.State == dbus.Running })
	s.app.Find(t, "label", "Running")

	s.app.Find(t, "button", "Pause").Press(t)
	s.becomes(t, "the executor is paused", func(m dbus.Manager) bool { return m.State == dbus.Paused })
	s.app.Find(t, "button", "Go on").Press(t)
	s.becomes(t, "the executor goes on", func(m dbus.Manager) bool { return m.State == dbus.Running })

	s.app.Find(t, "button", "Stop…").Press(t)
	s.app.Find(t, "dialog", "").Find(t, "button", "Stop*").Press(t)
	s.becomes(t, "the executor is stopped", func(m dbus.Manager) bool { return m.State == dbus.Stopped })
	s.app.Find(t, "label", "Stopped")
}
