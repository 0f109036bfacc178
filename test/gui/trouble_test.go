//go:build gtk

package gui

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/test/bus/polkit"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// TestTheServiceIsKilled: nothing goes on to be shown as running, and what
// comes back is shown by itself.
func TestTheServiceIsKilled(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	s.runs(t, "work")
	s.app.Find(t, "button", "Cancel the command of work*")
	s.Kill()
	s.app.Find(t, "label", "Stopped")
	s.app.Gone(t, "button", "Cancel the command of work*")
	s.app.Gone(t, "label", "Running")
	s.app.Find(t, "button", "Start").Press(t)
	s.becomes(t, "the executor runs", func(m dbus.Manager) bool { return m.State == dbus.Running })
	s.app.Find(t, "label", "Running")
	s.Desktop.Key(t, "ctrl+4")
	s.app.Find(t, "list item", "*work, interrupted: echo copying*")
}

// TestTheServiceDoesNotAnswer: the window goes on to be used meanwhile, and what
// was asked for is done once the service answers.
func TestTheServiceDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "overview")
	pause := s.app.Find(t, "button", "Pause")
	if err := s.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	pause.Press(t)
	pause.AwaitState(t, desktop.Sensitive, false)
	for key, title := range map[string]string{"ctrl+2": "Qubes", "ctrl+4": "Activity"} {
		s.Desktop.Key(t, key)
		s.onPage(t, title)
	}
	s.Desktop.Key(t, "ctrl+1")
	s.onPage(t, "Overview")
	if pause.Is(desktop.Sensitive) {
		t.Error("it could be pressed again before it was answered")
	}
	if err := s.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s.becomes(t, "the executor is paused", func(m dbus.Manager) bool { return m.State == dbus.Paused })
	s.app.Find(t, "button", "Go on").AwaitState(t, desktop.Sensitive, true)
}

// TestTheBusGoesAndComes: the program says so, and finds the next bus by itself.
func TestTheBusGoesAndComes(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Stopped: true}, "overview")
	s.app.Find(t, "label", "Stopped")
	s.Bus.Stop()
	s.app.Find(t, "", "There is no connection to the message bus")
	s.app.Gone(t, "label", "Stopped")
	s.Bus.Start(t)
	s.app.Find(t, "label", "Stopped")
	s.app.Gone(t, "", "There is no connection to the message bus")
}

// TestWhatHappensWithoutABusIsShown once there is one again, though nothing more
// happens.
func TestWhatHappensWithoutABusIsShown(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.ran(t, "work", "echo before")
	s.app.Find(t, "list item", "*echo before*")
	s.Bus.Stop()
	s.app.Find(t, "", "There is no connection to the message bus")
	s.ran(t, "work", "echo meanwhile")
	s.Bus.Start(t)
	s.app.Find(t, "list item", "*echo meanwhile*")
}

// stranger owns the service's name instead of it, and answers nothing of it.
func (s *scene) stranger(t *testing.T) *godbus.Conn {
	t.Helper()
	conn, err := s.Bus.Dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if reply, err := conn.RequestName(dbus.Name, godbus.NameFlagDoNotQueue); err != nil || reply != godbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("own %s: %v, %v", dbus.Name, reply, err)
	}
	return conn
}

func TestAnotherVersionOfTheService(t *testing.T) {
	t.Parallel()
	s := prepare(t, 0, life.Options{Stopped: true})
	conn := s.stranger(t)
	s.launch(t, "overview")
	s.app.Find(t, "", "The service is of another version")
	s.app.Find(t, "button", "Try again")
	// It is replaced by the right one.
	conn.Close()
	s.app.Find(t, "label", "Stopped")
}

// TestTheBusForbidsIt: an account that the bus does not let speak to the service.
func TestTheBusForbidsIt(t *testing.T) {
	t.Parallel()
	s := prepare(t, 0, life.Options{Stopped: true, Policy: fmt.Sprintf(`<policy context="mandatory"><deny send_destination=%q/></policy>`, dbus.Name)})
	s.launch(t, "overview")
	s.app.Find(t, "", "You may not administer qvm-remote")
	s.app.Find(t, "button", "Try again").Press(t)
	s.app.Find(t, "", "You may not administer qvm-remote")
	if !s.run.Running() {
		t.Error("the program ended")
	}
}

func TestThereIsNoService(t *testing.T) {
	t.Parallel()
	s := prepare(t, 0, life.Options{Stopped: true})
	s.BusAddress = s.Session.Address // a bus without it
	s.launch(t, "overview")
	s.app.Find(t, "", "There is no service")
	s.app.Find(t, "button", "Try again")
}

// nobody is an account that is not root's.
func nobody() int {
	if os.Geteuid() == 0 {
		return 65534
	}
	return 0
}

// TestPolkitRefuses: what is refused is said in a sentence, and changes nothing.
func TestPolkitRefuses(t *testing.T) {
	t.Parallel()
	s := openAs(t, nobody(), life.Options{}, "overview")
	s.app.Find(t, "label", "Running")
	s.Polkit.SetAllowed()
	s.Polkit.SetAnswer(polkit.Dismissed)
	pause := s.app.Find(t, "button", "Pause")
	pause.Press(t)
	s.app.Find(t, "", "*password dialog was closed*")
	pause.AwaitState(t, desktop.Sensitive, true)
	boot := s.app.Find(t, "switch", "Start at boot*")
	boot.Press(t)
	dialog := s.app.Find(t, "dialog", "Start at boot?")
	dialog.Find(t, "text box", "").SetText(t, "yes")
	dialog.Find(t, "button", "Start at boot*").Press(t)
	boot.AwaitState(t, desktop.Sensitive, true)
	boot.AwaitState(t, desktop.Checked, false)
	if word := s.Systemd.Enabled("qvm-remote-dom0.service"); word != "disabled" {
		t.Errorf("systemd has the unit %s", word)
	}
	// With a password it is done.
	s.Polkit.SetAnswer(polkit.Password)
	pause.Press(t)
	s.app.Find(t, "button", "Go on")
	asked := len(s.Polkit.Calls())
	s.Desktop.Key(t, "ctrl+4")
	s.onPage(t, "Activity")
	s.app.Find(t, "button", "Try again")
	for _, c := range s.Polkit.Calls()[asked:] {
		if c.Flags&polkit.AllowInteraction != 0 {
			t.Errorf("a password was asked for because a page was shown: %+v", c)
		}
	}
	s.Polkit.SetAnswer(polkit.Keep)
	s.app.Find(t, "button", "Try again").Press(t)
	s.app.Find(t, "list item", "*started*")
}
