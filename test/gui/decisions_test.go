//go:build gtk

package gui

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// keyFile is what dom0 has of a qube's key, "" for nothing.
func (s *scene) keyFile(t *testing.T, qube string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(string(s.Root()), "etc/qubes/remote.d", qube+".key"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// rules are those that dom0 has of a qube.
func (s *scene) rules(t *testing.T, qube string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Root().Keys(), qube+".policy"))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestStartAtBootTakesAYes(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	boot := s.app.Find(t, "switch", "Start at boot*")
	boot.Press(t)
	dialog := s.app.Find(t, "dialog", "Start at boot?")
	entry := dialog.Find(t, "text box", "")
	entry.SetText(t, "no")
	if dialog.Find(t, "button", "Start at boot*").Is(desktop.Sensitive) {
		t.Error("the button works without the word")
	}
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Start at boot?")
	if s.manager(t).StartsAtBoot {
		t.Fatal("it starts at boot without a yes")
	}

	boot.Press(t)
	dialog = s.app.Find(t, "dialog", "Start at boot?")
	dialog.Find(t, "text box", "").SetText(t, "yes")
	dialog.Find(t, "button", "Start at boot*").Press(t)
	s.becomes(t, "it starts at boot", func(m dbus.Manager) bool { return m.StartsAtBoot })
	if word := s.Systemd.Enabled("qvm-remote-dom0.service"); word != "enabled" {
		t.Errorf("systemd has the unit %s", word)
	}
	s.app.Find(t, "label", "On: the service starts*")

	boot.Press(t)
	s.becomes(t, "it does not start at boot", func(m dbus.Manager) bool { return !m.StartsAtBoot })
}

// authorise opens the dialog and chooses a qube.
func (s *scene) authorise(t *testing.T, qube string) *desktop.Node {
	t.Helper()
	s.app.Find(t, "button", "Authorise…*").Press(t)
	dialog := s.app.Find(t, "dialog", "Authorise a qube")
	dialog.Find(t, "search box", "").SetText(t, qube)
	dialog.Gone(t, "list item", "dev, label*")
	dialog.Find(t, "list item", qube+", label*").Press(t)
	dialog.Find(t, "", "Where its key comes from")
	return dialog
}

func TestAuthoriseByPasting(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	dialog := s.authorise(t, life.Stranger) // halted: a key can only be pasted
	entry := dialog.Find(t, "", "Key of the qube")
	next := dialog.Find(t, "button", "Next*")
	entry.SetText(t, "1234")
	if next.Is(desktop.Sensitive) {
		t.Error("one can go on with what is no key")
	}
	key := queue.GenerateKey()
	entry.SetText(t, string(key.Reveal()))
	next.Press(t)
	dialog.Find(t, "label", key.Fingerprint())
	if s.keyFile(t, life.Stranger) != "" {
		t.Error("the key was stored before anybody compared it")
	}
	dialog.Find(t, "checkbox", "The qube shows the same fingerprint*").Toggle(t)
	dialog.Find(t, "button", "Authorise*").Press(t)
	dialog.Find(t, "", life.Stranger+" is authorised")
	if got := s.keyFile(t, life.Stranger); got != string(key.Reveal()) {
		t.Errorf("dom0 has another key than the one that was pasted")
	}
	dialog.Find(t, "button", "Close*").Press(t)
	s.app.Gone(t, "dialog", "Authorise a qube")
	if rules := s.rules(t, life.Stranger); rules != "ask **\n" {
		t.Errorf("unless one says otherwise it may run %q", rules)
	}
	if rules := s.rules(t, "work"); rules != "allow **\n" {
		t.Errorf("another qube's rules are now %q", rules)
	}

	s.app.Find(t, "list item", life.Stranger+", label*").Press(t)
	s.app.Find(t, "list item", "Its key counts*")
	s.app.Find(t, "button", "Change for how long its key counts*").Press(t)
	s.app.Find(t, "menu item", "For ten more commands*").Press(t)
	desktop.Await(t, "its key counts for ten commands", func() bool { return s.qube(t, life.Stranger).GrantLeft == 10 })
	s.app.Find(t, "button", "Revoke…*").Press(t)
	s.app.Find(t, "dialog", "Revoke vault?").Find(t, "button", "Revoke*").Press(t)
	desktop.Await(t, "the key is gone", func() bool { return s.keyFile(t, life.Stranger) == "" })
}

func TestAuthoriseByMakingAndFetching(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	before := s.keyFile(t, "work")
	dialog := s.authorise(t, "work")
	dialog.Find(t, "button", "Next*").Press(t)
	authorise := dialog.Find(t, "button", "Authorise*")
	if authorise.Is(desktop.Sensitive) {
		t.Error("the key that there is would be replaced unasked")
	}
	dialog.Find(t, "checkbox", "Replace its key*").Toggle(t)
	authorise.Press(t)
	dialog.Find(t, "", "work is authorised")
	made := s.keyFile(t, "work")
	inQube, err := s.House.Key("work")
	if err != nil {
		t.Fatal(err)
	}
	if made == before || made != string(inQube.Reveal()) {
		t.Error("dom0 and the qube have not the same new key")
	}
	dialog.Find(t, "button", "Close*").Press(t)
	s.app.Gone(t, "dialog", "Authorise a qube")

	dialog = s.authorise(t, "work")
	dialog.Find(t, "checkbox", "Fetch the one it has*").Press(t)
	dialog.Find(t, "button", "Next*").Press(t)
	dialog.Find(t, "label", inQube.Fingerprint())
	authorise = dialog.Find(t, "button", "Authorise*")
	dialog.Find(t, "checkbox", "Replace its key*").Toggle(t)
	if authorise.Is(desktop.Sensitive) {
		t.Error("the fetched key would be stored though nobody compared it")
	}
	dialog.Find(t, "checkbox", "The qube shows the same fingerprint*").Toggle(t)
	authorise.Press(t)
	dialog.Find(t, "", "work is authorised")
	if s.keyFile(t, "work") != made {
		t.Error("the same key again changed something")
	}
}
