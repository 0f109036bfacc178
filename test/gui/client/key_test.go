//go:build gtk

package client

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

var onceOnly = dbus.Scope{}

func (s *scene) keyFile(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(s.Layout(qube).Key())
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(b)
}

// TestPairing: a first start is the guide, which follows what happens.
func TestPairing(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Strange: true})
	if err := os.Remove(s.Layout(qube).Key()); err != nil {
		t.Fatal(err)
	}
	s.launch(t)
	s.onPage(t, "Key")
	s.app.Find(t, "label", "No key yet")
	s.app.Find(t, "button", "Make a key*").Press(t)
	s.app.Find(t, "label", "Waiting for dom0")
	s.app.Find(t, "label", "*qvm-remote-dom0 authorize*")
	key, err := queue.ParseKey([]byte(s.keyFile(t)))
	if err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "list item", "Fingerprint*")
	if _, _, err := s.client.AuthorizeQube(t.Context(), qube, key, dbus.Options{Policy: "allow"}); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "Connected to dom0")
	test := s.app.Find(t, "button", "Test the connection*")
	test.AwaitState(t, desktop.Sensitive, true)
	test.Press(t)
	s.app.Find(t, "", "dom0 answers, and accepts this key.")
	s.app.Gone(t, "label", "*qvm-remote-dom0 authorize*")
	s.Desktop.Key(t, "ctrl+1")
	s.runs(t, "hostname")
	s.app.Find(t, "label", "Done: exit 0")
}

func TestAKeyIsReplacedOnlyAfterAQuestion(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "key")
	before := s.keyFile(t)
	button := s.app.Find(t, "button", "New key…*")
	button.AwaitState(t, desktop.Sensitive, true)
	button.Press(t)
	s.app.Find(t, "dialog", "Replace the key?")
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Replace the key?")
	if s.keyFile(t) != before {
		t.Fatal("Escape replaced the key")
	}
	button.Press(t)
	s.app.Find(t, "dialog", "Replace the key?").Find(t, "button", "Replace*").Press(t)
	desktop.Await(t, "there is another key", func() bool { return s.keyFile(t) != before })
	if b, err := os.ReadFile(s.Layout(qube).Key() + ".old"); err != nil || string(b) != before {
		t.Errorf("the old key is not kept: %v", err)
	}
	key, err := queue.ParseKey([]byte(s.keyFile(t)))
	if err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "list item", "Fingerprint*")
	s.app.Find(t, "label", key.Fingerprint())
	// dom0 does not know it, and says so with the one that it knows.
	s.Desktop.Key(t, "ctrl+1")
	s.runs(t, "hostname")
	s.app.Find(t, "label", "Denied: bad-mac")
	s.app.Find(t, "label", "verified")
}

func TestAKeyIsShownOnlyOnDemand(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "key")
	secret := strings.TrimSpace(s.keyFile(t))
	s.app.Find(t, "list item", "The key itself*")
	if all := s.app.FindAll(t, "", "*"+secret+"*"); len(all) != 0 {
		t.Fatalf("the key is shown: %v", all)
	}
	s.app.Find(t, "button", "Show the key*").Press(t)
	s.app.Find(t, "label", secret)
	s.app.Find(t, "button", "Hide the key*")
	s.turn(t, "Run")
	s.turn(t, "Key")
	s.app.Find(t, "button", "Show the key*")
	s.app.Gone(t, "label", secret)
}

func TestAKeyIsImported(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "key")
	button := s.app.Find(t, "button", "Import…*")
	button.AwaitState(t, desktop.Sensitive, true)
	button.Press(t)
	dialog := s.app.Find(t, "dialog", "Import a key")
	dialog.Find(t, "", "Key")
	s.Desktop.Type(t, "no key")
	s.Desktop.Key(t, "Return")
	store := dialog.Find(t, "button", "Replace*")
	store.AwaitState(t, desktop.Sensitive, false)
	s.Desktop.Key(t, "ctrl+a")
	key := queue.GenerateKey()
	s.Desktop.Type(t, string(key.Reveal()))
	dialog.Find(t, "label", "Fingerprint "+key.Fingerprint())
	store.AwaitState(t, desktop.Sensitive, true)
	store.Press(t)
	desktop.Await(t, "the key is stored", func() bool { return s.keyFile(t) == string(key.Reveal()) })
	s.app.Find(t, "label", key.Fingerprint())

	button = s.app.Find(t, "button", "Import…*")
	button.AwaitState(t, desktop.Sensitive, true)
	button.Press(t)
	dialog = s.app.Find(t, "dialog", "Import a key")
	dialog.Find(t, "", "Key")
	s.Desktop.Type(t, string(queue.GenerateKey().Reveal()))
	store = dialog.Find(t, "button", "Replace*")
	store.AwaitState(t, desktop.Sensitive, true)
	if _, err := s.theirs().GenerateKey(true); err != nil {
		t.Fatal(err)
	}
	other := s.keyFile(t)
	store.Press(t)
	dialog.Find(t, "label", "*has become another one meanwhile*")
	if got := s.keyFile(t); got != other {
		t.Error("a key was replaced that nobody spoke of")
	}
}

// TestAQueueThatCannotBeUsed is said in a sentence, and heals by itself.
func TestAQueueThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "run")
	s.write(t, "hostname")
	run := s.app.Find(t, "button", "Run*")
	run.AwaitState(t, desktop.Sensitive, true)
	root := s.Layout(qube).Root
	away := filepath.Join(filepath.Dir(root), "away")
	if err := os.Rename(root, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "*is not a folder*")
	run.AwaitState(t, desktop.Sensitive, false)
	if err := os.Remove(root); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, root); err != nil {
		t.Fatal(err)
	}
	s.app.Gone(t, "label", "*is not a folder*")
	run.AwaitState(t, desktop.Sensitive, true)
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chown(root, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "label", "*another account*")
	run.AwaitState(t, desktop.Sensitive, false)
	if err := os.Chown(root, os.Geteuid(), os.Getegid()); err != nil {
		t.Fatal(err)
	}
	run.AwaitState(t, desktop.Sensitive, true)
}
