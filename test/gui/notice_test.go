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

// offered are what a notification offers: names, each followed by what it says.
type offered chan []string

// board is where both arrive.
type board struct {
	notices
	offered
}

// GetCapabilities says that it shows buttons.
func (board) GetCapabilities() ([]string, *godbus.Error) { return []string{"actions", "body"}, nil }

// Notify shows one, as org.freedesktop.Notifications says.
func (b board) Notify(_ string, _ uint32, _, title, body string, actions []string, _ map[string]godbus.Variant, _ int32) (uint32, *godbus.Error) {
	b.notices <- title
	b.offered <- actions
	return 1, nil
}

// CloseNotification takes one back.
func (b board) CloseNotification(uint32) *godbus.Error {
	b.notices <- ""
	return nil
}

// noticesOf gives the desktop such a service. What presses a notification's
// button is handed back.
func (s *scene) noticesOf(t *testing.T) (board, func(action string)) {
	t.Helper()
	b := board{make(notices, 100), make(offered, 100)}
	const path, name = "/org/freedesktop/Notifications", "org.freedesktop.Notifications"
	conn := s.Session.Connect(t)
	if err := conn.Export(b, path, name); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.RequestName(name, 0); err != nil {
		t.Fatal(err)
	}
	return b, func(action string) {
		if err := conn.Emit(path, name+".ActionInvoked", uint32(1), action); err != nil {
			t.Fatal(err)
		}
	}
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
	told, _ := s.noticesOf(t)
	s.connect(t)
	s.launch(t, "overview")
	s.app.Find(t, "label", "Running")
	s.runs(t, "work")
	s.app.Find(t, "button", "Cancel the command of work*")
	if len(told.notices) != 0 {
		t.Fatalf("the desktop was told %q", <-told.notices)
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
