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

// TestChartCounts: what the chart draws is there for a screen reader, by number.
func TestChartCounts(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	s.app.Find(t, "", "Commands per hour in the last 24 hours. no commands*")
	s.ran(t, "work", "exit 0")
	s.ran(t, "work", "exit 0")
	s.ran(t, "dev", "exit 4")
	s.app.Find(t, "", "Commands per hour in the last 24 hours. 2 done · 1 failed*")
	s.app.Find(t, "list item", "*dev, exit 4: exit 4*").Press(t)
	s.onPage(t, "Activity")
	s.app.Find(t, "label", "Steps in the record")
}

func TestSettingsInForce(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	s.app.Find(t, "list item", "*, dom0, started*") // nothing moves any more
	s.app.Find(t, "list item", "Settings in force*").Press(t)
	all, _, err := s.client.ListSettings(t.Context())
	if err != nil || len(all) == 0 {
		t.Fatalf("%d settings: %v", len(all), err)
	}
	for _, x := range all {
		s.app.Find(t, "list item", x.Name+"*")
	}
}
