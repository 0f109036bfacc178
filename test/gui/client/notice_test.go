//go:build gtk

package client

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
	"qvmremote/test/desktop"
	"qvmremote/test/executable"
	"qvmremote/test/life"
)

// behind puts the window of another program before this one's: the same
// program, of another session.
func (s *scene) behind(t *testing.T) *desktop.Program {
	t.Helper()
	other := s.Launch(t, []string{"HOME=" + t.TempDir(), "DBUS_SESSION_BUS_ADDRESS=" + bus.Start(t).Address}, program, "--page", "key")
	s.app.Find(t, "window", "").AwaitState(t, desktop.Active, false)
	return other
}

// waitsFor is a command that ends, with a code, once there is a file in dom0.
func waitsFor(name string, code int) string {
	return fmt.Sprintf("until [ -e %s ]; do sleep 0.05; done; exit %d", name, code)
}

// lets makes that file.
func (s *scene) lets(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.Dom0(), "root", name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestTheEndOfACommandIsTold while nobody looks, and taken back once the person
// is here; or it opens the tab of that command.
func TestTheEndOfACommandIsTold(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{})
	told := s.Notices(t)
	s.launch(t, "--page", "run")
	s.runs(t, "echo seen")
	s.app.Find(t, "label", "Done: exit 0") // which nobody is told of
	for i, name := range []string{"one", "two"} {
		s.Desktop.Key(t, "ctrl+t")
		s.runs(t, waitsFor(name, i+1))
		s.app.Find(t, "label", "Running")
	}
	s.Desktop.Key(t, "ctrl+t")
	s.app.Gone(t, "label", "Running")
	s.turn(t, "Key")
	other := s.behind(t)
	s.lets(t, "one")
	told.Await(t, "Failed: exit 1")
	other.End()
	told.Await(t, "")

	s.behind(t)
	s.lets(t, "two")
	told.Await(t, "Failed: exit 2")
	told.Press(t, "default") // which the desktop takes back by itself
	s.onPage(t, "Run")
	s.app.Find(t, "label", "Failed: exit 2")
}

// TestEachEndIsTold, and none that opens nothing is left when the program ends.
func TestEachEndIsTold(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{})
	told := s.Notices(t)
	s.launch(t, "--page", "run")
	for _, name := range []string{"one", "two"} {
		s.runs(t, waitsFor(name, 3))
		s.app.Find(t, "label", "Running")
		s.Desktop.Key(t, "ctrl+t")
		s.app.Gone(t, "label", "Running")
	}
	s.behind(t)
	for _, name := range []string{"one", "two"} {
		s.lets(t, name)
		told.Await(t, "Failed: exit 3")
	}
	app := s.Session.Connect(t).Object("org.qvmremote.Client", "/org/qvmremote/Client")
	quit := app.CallWithContext(t.Context(), "org.freedesktop.Application.ActivateAction", 0, "quit", []godbus.Variant{}, map[string]godbus.Variant{})
	if quit.Err != nil {
		t.Fatal(quit.Err)
	}
	for range 2 {
		told.Await(t, "")
	}
	if err := s.run.Wait(t); err != nil {
		t.Errorf("it ended: %v", err)
	}
}

// TestTheEndOfATransferIsTold while nobody looks, and opens the page with it.
func TestTheEndOfATransferIsTold(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{})
	told := s.Notices(t)
	s.launch(t, "--page", "files")
	dir := t.TempDir()
	local, remote, let := filepath.Join(dir, "local"), filepath.Join(s.Dom0(), "root", "remote"), filepath.Join(dir, "let")
	late := fmt.Sprintf("#!/bin/sh\nuntil [ -e %s ]; do sleep 0.05; done\nexec %s \"$@\"\n", let, programs.Dom0)
	err := errors.Join(os.WriteFile(local, []byte("a file"), 0o600),
		executable.Write(filepath.Join(s.Dom0Bin(), "qvm-remote-dom0"), []byte(late)))
	if err != nil {
		t.Fatal(err)
	}
	s.sends(t, local, remote)
	s.app.Find(t, "button", "Cancel: local*")
	s.turn(t, "Key")
	s.behind(t)
	if err := os.WriteFile(let, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	told.Await(t, "A file has arrived in dom0")
	if got, err := os.ReadFile(remote); err != nil || string(got) != "a file" {
		t.Errorf("dom0 has %q, %v", got, err)
	}
	told.Press(t, "default")
	s.onPage(t, "Files")
	s.app.Find(t, "label", "Arrived whole*")
}
