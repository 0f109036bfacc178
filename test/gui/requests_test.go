//go:build gtk

package gui

import (
	"context"
	"strings"
	"testing"

	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// asking is a house in which nothing runs that nobody approved.
var asking = life.Options{Rules: "ask **\n"}

// asks has a qube ask for a script that its rules want approved, and hands on how
// its client ends. It returns once the request waits.
func (s *scene) asks(t *testing.T, qube, script string) <-chan life.Answer {
	t.Helper()
	ended := make(chan life.Answer, 1)
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(stop)
	go func() {
		a, err := s.House.Run(ctx, qube, script)
		if err != nil {
			a.Err += err.Error()
		}
		ended <- a
	}()
	desktop.Await(t, "the request of "+qube+" waits", func() bool { return len(s.waiting(t, qube)) == 1 })
	return ended
}

// waiting is what waits of a qube.
func (s *scene) waiting(t *testing.T, qube string) (all []dbus.Request) {
	t.Helper()
	requests, err := s.client.Requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range requests {
		if r.Qube == qube {
			all = append(all, r)
		}
	}
	return all
}

// opens opens the request of a qube, and waits until it can be decided about.
func (s *scene) opens(t *testing.T, qube string) {
	t.Helper()
	s.app.Find(t, "list item", qube+", label*").Press(t)
	s.app.Find(t, "button", "Approve once*").AwaitState(t, desktop.Sensitive, true)
}

func TestARequestIsApproved(t *testing.T) {
	t.Parallel()
	s := open(t, asking, "requests")
	s.app.Find(t, "", "Nothing waits for you")
	answer := s.asks(t, "work", "echo approved '\u202e'")
	s.app.Find(t, "list item", "Requests, 1 waiting")
	s.app.Find(t, "list item", "work, label red, echo approved*")
	s.opens(t, "work")
	if script := s.app.Find(t, "label", "echo approved*").Text(t); script != `echo approved '\u{202e}'` {
		t.Errorf("the script is shown as %q", script)
	}
	s.app.Find(t, "list item", "SHA-256 of what is shown*")
	for _, n := range nameless(t, s.app) {
		t.Errorf("it has no name: %s", n)
	}
	if len(answer) != 0 {
		t.Fatal("it ran before anybody approved it")
	}
	s.app.Find(t, "button", "Approve once*").Press(t)
	if a := <-answer; a.Code != 0 || !strings.HasPrefix(a.Out, "approved") {
		t.Errorf("the qube got %+v", a)
	}
	s.app.Find(t, "", "Nothing waits for you")
	s.app.Find(t, "list item", "Requests")
}

// TestARequestIsDeniedByKeys, from another page on.
func TestARequestIsDeniedByKeys(t *testing.T) {
	t.Parallel()
	s := open(t, asking, "overview")
	s.onPage(t, "Overview")
	answer := s.asks(t, "dev", "touch denied")
	s.app.Find(t, "label", "dev asks to run something in dom0*")
	s.app.Walk(t, "Tab", "button", "Show")
	s.Desktop.Key(t, "space")
	s.app.Find(t, "button", "Deny").AwaitState(t, desktop.Sensitive, true)
	if at := s.app.Focused(t); at.Role == "button" && !strings.HasPrefix(at.Name, "Back") {
		t.Errorf("the focus is on %v", at)
	}
	s.app.Walk(t, "Tab", "button", "Deny")
	s.Desktop.Key(t, "space")
	if a := <-answer; a.Code != queue.ExitDenied {
		t.Errorf("the qube got %+v", a)
	}
}

// TestAHeldKeyApprovesNothing: Enter is down when the request comes, and repeats
// over the button once that works.
func TestAHeldKeyApprovesNothing(t *testing.T) {
	t.Parallel()
	s := open(t, asking, "requests")
	s.app.Find(t, "", "Nothing waits for you")
	s.app.Walk(t, "Tab", "list item", "Requests") // where Enter does nothing new
	s.Desktop.Hold(t, "Return")
	answer := s.asks(t, "work", "echo ran")
	s.opens(t, "work")
	approve := s.app.Walk(t, "Tab", "button", "Approve once*")
	for range 10 {
		s.Desktop.Hold(t, "Return")
		if !approve.Is(desktop.Sensitive) {
			t.Fatal("the button has taken the held key")
		}
	}
	s.Desktop.LetGo(t, "Return")
	approve.AwaitState(t, desktop.Focused, true)
	if len(answer) != 0 || len(s.waiting(t, "work")) != 1 {
		t.Fatal("a key that was down before approved the request")
	}
	s.Desktop.Key(t, "Return")
	if a := <-answer; a.Code != 0 || a.Out != "ran\n" {
		t.Errorf("the qube got %+v", a)
	}
}

// TestApprovedForAWhile: the same command is not asked about again.
func TestApprovedForAWhile(t *testing.T) {
	t.Parallel()
	s := open(t, asking, "requests")
	first := s.asks(t, "work", "echo again")
	s.opens(t, "work")
	s.app.Find(t, "", "Approve for…*").Press(t)
	s.app.Find(t, "button", "Approve it, and the same command for 10 minutes*").Press(t)
	if a := <-first; a.Code != 0 {
		t.Errorf("the qube got %+v", a)
	}
	if a, err := s.House.Run(t.Context(), "work", "echo again"); err != nil || a.Out != "again\n" {
		t.Errorf("the same once more: %+v, %v", a, err)
	}
	second := s.asks(t, "work", "echo other")
	s.opens(t, "work")
	s.app.Find(t, "label", "*-echo again*")
	s.app.Find(t, "button", "Deny").Press(t)
	if a := <-second; a.Code != queue.ExitDenied {
		t.Errorf("another command: %+v", a)
	}
}
