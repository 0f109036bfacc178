//go:build gtk

package gui

import (
	"os"
	"path/filepath"
	"testing"

	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// opensRules opens the rules of a qube.
func (s *scene) opensRules(t *testing.T, qube string) *desktop.Node {
	t.Helper()
	s.openQube(t, qube)
	s.app.Find(t, "button", "Edit…*").Press(t)
	dialog := s.app.Find(t, "dialog", "Rules*")
	dialog.Find(t, "text box", "Rules*").AwaitState(t, desktop.Editable, true)
	return dialog
}

// policyFile is what the rules of a qube are in dom0.
func (s *scene) policyFile(t *testing.T, qube string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Root().Keys(), qube+".policy"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestRulesAreTriedAndSaved: what is written is tried before it counts, an error
// is not saved, and what is saved decides about the next request.
func TestRulesAreTriedAndSaved(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	dialog := s.opensRules(t, "work")
	text, command := dialog.Find(t, "text box", "Rules*"), dialog.Find(t, "text box", "What would happen to…*")
	if got := text.Text(t); got != "allow **\n" {
		t.Fatalf("the rules are shown as %q", got)
	}
	save := dialog.Find(t, "button", "Save")
	command.SetText(t, "id; hostname")
	dialog.Find(t, "label", "It would run, and nobody is asked")
	text.SetText(t, "allow echo **\nforbid id\n")
	dialog.Find(t, "label", "*work.policy:2:1: a line begins with*")
	save.AwaitState(t, desktop.Sensitive, false)
	command.SetText(t, "echo; hostname")
	text.SetText(t, "allow echo **\ndeny hostname") // its last line is not ended
	dialog.Find(t, "label", "It would be denied")
	dialog.Find(t, "label", "By work.policy:2: deny hostname")
	for _, n := range nameless(t, s.app) {
		t.Errorf("it has no name: %s", n)
	}
	if got := s.policyFile(t, "work"); got != "allow **\n" {
		t.Fatalf("it counts before it is saved: %q", got)
	}
	save.AwaitState(t, desktop.Sensitive, true)
	save.Press(t)
	desktop.Await(t, "the rules are written", func() bool { return s.policyFile(t, "work") == "allow echo **\ndeny hostname\n" })
	if a, err := s.House.Run(t.Context(), "work", "hostname"); err != nil || a.Code != queue.ExitDenied {
		t.Errorf("what is denied now: %+v, %v", a, err)
	}
	if a, err := s.House.Run(t.Context(), "work", "echo allowed"); err != nil || a.Out != "allowed\n" {
		t.Errorf("what is allowed: %+v, %v", a, err)
	}
	save.AwaitState(t, desktop.Sensitive, false)
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Rules*")
}

// TestRulesOfTwoEditors: what somebody else wrote meanwhile is not overwritten,
// and what is written is not lost without a question.
func TestRulesOfTwoEditors(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "qubes")
	dialog := s.opensRules(t, "work")
	text := dialog.Find(t, "text box", "Rules*")
	text.SetText(t, "deny **\n")
	if err := s.House.Rules("work", "ask **\n"); err != nil {
		t.Fatal(err)
	}
	save := dialog.Find(t, "button", "Save")
	save.AwaitState(t, desktop.Sensitive, true)
	save.Press(t)
	dialog.Find(t, "label", "*changed by somebody else meanwhile*")
	if got := s.policyFile(t, "work"); got != "ask **\n" {
		t.Fatalf("it was overwritten: %q", got)
	}
	s.Desktop.Key(t, "Escape")
	s.app.Find(t, "dialog", "Discard what you wrote?")
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Discard what you wrote?")
	dialog.Find(t, "button", "Load anew*").Press(t)
	s.confirm(t, "Discard what you wrote?", "Discard")
	desktop.Await(t, "the other rules are shown", func() bool { return text.Text(t) == "ask **\n" })
	text.SetText(t, "deny **\n")
	save.AwaitState(t, desktop.Sensitive, true)
	s.Desktop.Key(t, "Escape")
	s.confirm(t, "Discard what you wrote?", "Discard")
	s.app.Gone(t, "dialog", "Rules*")
	if got := s.policyFile(t, "work"); got != "ask **\n" {
		t.Errorf("discarded, and written: %q", got)
	}
}

// TestAnApprovalIsTakenBack: it is shown where it counts, and when it is taken
// back the same is asked about again.
func TestAnApprovalIsTakenBack(t *testing.T) {
	t.Parallel()
	s := open(t, asking, "requests")
	first := s.asks(t, "work", "echo again")
	s.opens(t, "work")
	s.app.Find(t, "", "Approve for…*").Press(t)
	s.app.Find(t, "button", "Approve it, and the same command for 10 minutes*").Press(t)
	if a := <-first; a.Code != 0 {
		t.Fatalf("the qube got %+v", a)
	}
	s.Desktop.Key(t, "ctrl+2")
	s.openQube(t, "work")
	s.app.Find(t, "list item", "The bytes with SHA-256*")
	s.app.Find(t, "button", "Take back*").Press(t)
	s.app.Gone(t, "list item", "The bytes with SHA-256*")
	if left, err := s.client.ListApprovals(t.Context()); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
	s.asks(t, "work", "echo again")
}
