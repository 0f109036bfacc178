//go:build gtk

package gui

import (
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/test/life"
)

// notices is a desktop's service for notifications, which hands on their titles.
type notices chan string

// Notify shows one, as org.freedesktop.Notifications says.
func (n notices) Notify(_ string, _ uint32, _, title, body string, _ []string, _ map[string]godbus.Variant, _ int32) (uint32, *godbus.Error) {
	n <- title
	return 1, nil
}

// CloseNotification takes one back.
func (n notices) CloseNotification(uint32) *godbus.Error {
	n <- ""
	return nil
}

// noticesOf gives the desktop such a service.
func (s *scene) noticesOf(t *testing.T) notices {
	t.Helper()
	n := make(notices, 100)
	conn := s.Session.Connect(t)
	if err := conn.Export(n, "/org/freedesktop/Notifications", "org.freedesktop.Notifications"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName("org.freedesktop.Notifications", 0); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n notices) await(t *testing.T, want string) {
	t.Helper()
	select {
	case title := <-n:
		if title != want {
			t.Errorf("the desktop was told %q, want %q", title, want)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("the desktop was not told %q", want)
	}
}

// TestNoticeOfWhatRuns: the desktop is told of a qube whose command begins to
// run, and again when it is over; nothing of it before somebody wants that.
func TestNoticeOfWhatRuns(t *testing.T) {
	t.Parallel()
	s := prepare(t, 0, life.Options{})
	told := s.noticesOf(t)
	s.connect(t)
	s.launch(t, "overview")
	s.app.Find(t, "label", "Running")
	s.runs(t, "work")
	s.app.Find(t, "button", "Cancel the command of work*")
	if len(told) != 0 {
		t.Fatalf("the desktop was told %q", <-told)
	}
	s.Desktop.Key(t, "F10")
	s.app.Find(t, "", "Notify when a command runs").Press(t)
	s.app.Gone(t, "", "Notify when a command runs")
	s.runs(t, "dev")
	told.await(t, "dev runs a command in dom0")
	s.app.Find(t, "button", "Cancel the command of dev*").Press(t)
	s.confirm(t, "Cancel this command?", "Cancel the command")
	told.await(t, "")
}
