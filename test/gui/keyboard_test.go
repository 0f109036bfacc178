//go:build gtk

package gui

import (
	"strings"
	"testing"

	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// TestKeysAlone: every page is reached, and what is done there is done, without
// a pointer.
func TestKeysAlone(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "overview")
	s.app.Find(t, "label", "Stopped")
	s.app.Walk(t, "Tab", "button", "Start")
	s.Desktop.Key(t, "space")
	s.becomes(t, "the executor runs", func(m dbus.Manager) bool { return m.State == dbus.Running })

	// By the sidebar.
	s.app.Walk(t, "Tab", "list item", "Activity")
	s.app.Walk(t, "Up", "list item", "Qubes")
	s.Desktop.Key(t, "Return")
	s.onPage(t, "Qubes")
	s.app.Walk(t, "Tab", "list item", "dev, label*")
	s.app.Walk(t, "Down", "list item", "work, label*")
	s.Desktop.Key(t, "Return")
	s.app.Find(t, "list item", "Fingerprint*")
	s.app.Walk(t, "Tab", "button", "Revoke…*")
	s.Desktop.Key(t, "Return")
	dialog := s.app.Find(t, "dialog", "Revoke work?")
	if at := dialog.Focused(t); strings.HasPrefix(at.Name, "Revoke") {
		t.Errorf("Return would revoke at once: the focus is on %v", at)
	}
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Revoke work?")
	if s.keyFile(t, "work") == "" {
		t.Error("Escape revoked the qube")
	}
	s.Desktop.Key(t, "alt+Left")
	s.app.Find(t, "list item", "work, label*")

	// By the pages' own keys.
	s.ran(t, "work", "echo by-keys")
	s.Desktop.Key(t, "ctrl+4")
	s.onPage(t, "Activity")
	s.app.Find(t, "list item", "*echo by-keys*")
	s.Desktop.Key(t, "ctrl+f")
	s.Desktop.Type(t, "by-keys")
	s.app.Gone(t, "list item", "*started*")
	s.app.Walk(t, "Tab", "list item", "*echo by-keys*")
	s.Desktop.Key(t, "Return")
	s.app.Find(t, "label", "Steps in the record")
	s.Desktop.Key(t, "alt+Left")
	s.app.Find(t, "search box", "Search what happened")

	s.Desktop.Key(t, "F10")
	s.app.Find(t, "menu item", "About Qubes Remote")
	s.Desktop.Key(t, "Escape")
	s.Desktop.Key(t, "F1")
	s.app.Find(t, "", "Search what happened")
	s.Desktop.Key(t, "Escape")
	s.Desktop.Key(t, "ctrl+q")
	if err := s.run.Wait(t); err != nil {
		t.Errorf("it ended: %v", err)
	}
}

// TestAuthoriseByKeysAlone goes through the whole guide without a pointer.
func TestAuthoriseByKeysAlone(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	s.app.Find(t, "list item", "work, label*")
	s.Desktop.Key(t, "ctrl+n")
	dialog := s.app.Find(t, "dialog", "Authorise a qube")
	dialog.Find(t, "list item", "vault, label*")
	s.Desktop.Type(t, life.Stranger)
	dialog.Gone(t, "list item", "dev, label*")
	s.app.Walk(t, "Tab", "list item", life.Stranger+", label*")
	s.Desktop.Key(t, "Return")
	dialog.Find(t, "", "Where its key comes from")
	s.app.Walk(t, "Tab", "text box", "Key of the qube*")
	key := queue.GenerateKey()
	s.Desktop.Type(t, string(key.Reveal()))
	s.app.Walk(t, "Tab", "button", "Next*")
	s.Desktop.Key(t, "Return")
	dialog.Find(t, "label", key.Fingerprint())
	s.app.Walk(t, "Tab", "checkbox", "The qube shows the same fingerprint*")
	s.Desktop.Key(t, "space")
	s.app.Walk(t, "Tab", "button", "Authorise*")
	s.Desktop.Key(t, "Return")
	dialog.Find(t, "", life.Stranger+" is authorised")
	desktop.Await(t, "dom0 has the key", func() bool { return s.keyFile(t, life.Stranger) == string(key.Reveal()) })
}
