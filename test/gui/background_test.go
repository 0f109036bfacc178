//go:build gtk

package gui

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"qvmremote/queue"
	"qvmremote/test/desktop"
)

// background starts the program without a window.
func background(t *testing.T) (*scene, *desktop.Notices) {
	t.Helper()
	s := prepare(t, 0, asking)
	told := s.Notices(t)
	s.connect(t)
	s.run = s.Launch(t, []string{"QVM_REMOTE_BUS=" + s.BusAddress}, admin, "--background")
	return s, told
}

// offers takes the next notification's actions, of which one opens the request,
// one denies it, and none approves it.
func offers(t *testing.T, told *desktop.Notices) []string {
	t.Helper()
	actions := <-told.Offered
	for _, a := range actions {
		if strings.Contains(strings.ToLower(a), "approve") {
			t.Errorf("a notification offers %q", actions)
		}
	}
	return actions
}

// TestARequestIsOpenedFromItsNotice: the program has no window until then, and
// none again once that is closed, and goes on.
func TestARequestIsOpenedFromItsNotice(t *testing.T) {
	t.Parallel()
	s, told := background(t)
	answer := s.asks(t, "work", "echo noticed")
	told.Await(t, "work asks to run something in dom0")
	offers(t, told)
	told.Press(t, "default")
	s.app = s.App(t, "qvm-remote-admin")
	s.app.Find(t, "label", "echo noticed")
	approve := s.app.Find(t, "button", "Approve once*")
	approve.AwaitState(t, desktop.Sensitive, true)
	approve.Press(t)
	if a := <-answer; a.Code != 0 || a.Out != "noticed\n" {
		t.Errorf("the qube got %+v", a)
	}
	s.CloseWindow(t)
	s.app.Gone(t, "window", "")
	again := s.asks(t, "dev", "echo again")
	told.Await(t, "dev asks to run something in dom0")
	if code, said := s.again(t, "--background"); code != 0 || said != "" {
		t.Errorf("another start ended with %d and said %q", code, said)
	}
	actions := offers(t, told)
	i := slices.Index(actions, "Deny")
	if i < 1 {
		t.Fatalf("the notification offers %q", actions)
	}
	told.Press(t, actions[i-1])
	if a := <-again; a.Code != queue.ExitDenied {
		t.Errorf("the qube got %+v", a)
	}
	if !s.run.Running() {
		t.Error("it does not go on")
	}
}

// TestItIsStartedAtLogin where a person wants that, and goes on without its window
// from then on.
func TestItIsStartedAtLogin(t *testing.T) {
	t.Parallel()
	s := open(t, asking, "overview")
	entry := filepath.Join(s.Config(), "autostart", "org.qvmremote.Admin.Background.desktop")
	there := func() bool {
		text, err := os.ReadFile(entry)
		return err == nil && strings.Contains(string(text), "\nExec=qvm-remote-admin --background\n")
	}
	choose := func() {
		s.Desktop.Key(t, "F10")
		s.app.Find(t, "", "Wait for requests from login on").Press(t)
		s.app.Gone(t, "", "Wait for requests from login on")
	}
	s.app.Find(t, "label", "Running")
	choose()
	desktop.Await(t, "it is started at login", there)
	s.CloseWindow(t)
	s.app.Gone(t, "window", "")
	if code, said := s.again(t, "--page", "overview"); code != 0 || said != "" {
		t.Errorf("a start that wants a window ended with %d and said %q", code, said)
	}
	s.app.Find(t, "label", "Running")
	choose()
	desktop.Await(t, "it is not started at login", func() bool { return !there() })
	s.CloseWindow(t)
	if err := s.run.Wait(t); err != nil {
		t.Errorf("it ended: %v", err)
	}
}
