package autostart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var entry = Entry{ID: "org.example.Program", Name: "Program", Comment: "Does something", Exec: "program --background"}

// home gives the test a configuration folder of its own.
func home(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "config")
	t.Setenv("XDG_CONFIG_HOME", dir)
	return dir
}

func set(t *testing.T, on bool) {
	t.Helper()
	if err := entry.Set(on); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, want bool) {
	t.Helper()
	if on, err := entry.On(); err != nil || on != want {
		t.Errorf("it is on: %v, %v; want %v", on, err, want)
	}
}

func TestItIsStartedUntilNoMore(t *testing.T) {
	dir := home(t)
	expect(t, false)
	set(t, false)
	set(t, true)
	expect(t, true)
	text, err := os.ReadFile(filepath.Join(dir, "autostart", "org.example.Program.Background.desktop"))
	if err != nil || !strings.Contains(string(text), "\nExec=program --background\n") {
		t.Errorf("the desktop reads %q, %v", text, err)
	}
	set(t, true)
	set(t, false)
	expect(t, false)
	if left, err := os.ReadDir(filepath.Join(dir, "autostart")); err != nil || len(left) > 0 {
		t.Errorf("there is left %v, %v", left, err)
	}
}

// TestTheDesktopsOwnSettingsCount: they turn an entry off by a line in it.
func TestTheDesktopsOwnSettingsCount(t *testing.T) {
	for _, line := range []string{"Hidden=true", "X-GNOME-Autostart-enabled=false"} {
		home(t)
		set(t, true)
		path, err := entry.Path()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(entry.String()+line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		expect(t, false)
		set(t, true)
		expect(t, true)
	}
}

func TestWhatCannotBeWrittenIsSaid(t *testing.T) {
	dir := home(t)
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := entry.Set(true); err == nil || !strings.HasPrefix(err.Error(), "cannot have it started at login: ") {
		t.Errorf("it said %v", err)
	}
}
