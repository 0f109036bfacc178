package words

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"qvmremote/dbus"
	"qvmremote/gui/say"
)

func TestError(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{context.Canceled, "It was given up; whether it was done is not known."},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), "The service did not answer in time; whether it was done is not known. Try again."},
		{&dbus.Error{Code: dbus.NoSuchQube, Text: "there is no qube \x1b[2Jwork"}, `There is no qube \x1b[2Jwork.`},
		{&dbus.Error{Code: dbus.Disconnected}, "There is no connection to the message bus."},
		{&dbus.Error{Code: "Odd"}, "Odd."},
		{errors.New("qvm-remote is not installed"), "qvm-remote is not installed."},
	} {
		if got := Error(c.err); got != c.want {
			t.Errorf("%v is %q, want %q", c.err, got, c.want)
		}
	}
}

func TestAvailability(t *testing.T) {
	for _, a := range []dbus.Availability{dbus.Connecting, dbus.Restarting, dbus.NoService, dbus.Forbidden, dbus.Mismatched, dbus.NoBus, "odd"} {
		why := Availability(dbus.Snapshot{Availability: a, Why: "because of <b>\x1b"})
		if why.Title == "" || why.Icon == "" || why.Text == "" || strings.Contains(why.Text, "\x1b") {
			t.Errorf("%s: %+v", a, why)
		}
		if !why.Waiting && why.Button == "" {
			t.Errorf("%s: a person can neither wait nor do anything: %+v", a, why)
		}
	}
}

func TestState(t *testing.T) {
	for state, want := range map[string]string{
		dbus.Running: "Running", dbus.Paused: "Paused", dbus.Stopping: "Stopping", dbus.Stopped: "Stopped", "dreaming": "dreaming",
	} {
		if got := State(dbus.Manager{State: state}); got.Word != want {
			t.Errorf("%s is shown as %+v", state, got)
		}
	}
	if line := StateLine(dbus.Manager{State: "dreaming", Version: "9"}); strings.Contains(line, "No command") {
		t.Errorf("of a state that is not known is said: %q", line)
	}
}

func TestConnection(t *testing.T) {
	for _, c := range []struct {
		qube dbus.Qube
		word string
	}{
		{dbus.Qube{KeyState: "stored", PowerState: "Running", Connection: "connected"}, "connected"},
		{dbus.Qube{KeyState: "stored", PowerState: "Running", Connection: "connected", Running: 1}, "running"},
		{dbus.Qube{KeyState: "none", PowerState: "Running", Connection: "connected"}, "no key"},
		{dbus.Qube{KeyState: "stored", PowerState: "Halted", Connection: "not running"}, "halted"},
		{dbus.Qube{KeyState: "stored", PowerState: "Running", Connection: "no agent\u202e"}, "not connected"},
	} {
		if got := Connection(c.qube); got.Word != c.word {
			t.Errorf("%+v: %q, want %q", c.qube, got.Word, c.word)
		}
		if line := QubeLine(c.qube, dbus.Record{}); strings.Contains(line, "\u202e") {
			t.Errorf("what a qube says is shown as it is: %q", line)
		}
	}
}

func TestCounts(t *testing.T) {
	if got := Counts(map[string]uint32{"failed": 2, "done": 10, "approved": 1, "denied": 0}); got != "10 done · 2 failed · 1 approved" {
		t.Errorf("%q", got)
	}
	if got := Counts(nil); got != "no commands" {
		t.Errorf("%q", got)
	}
}

func TestProblems(t *testing.T) {
	worst := Worst([]dbus.Problem{{Code: "new", Severity: "info"}, {Code: "paused", Severity: "warning"}, {Code: "broken", Severity: "error"}, {Code: "mirror", Severity: "warning"}})
	if worst == nil || worst.Code != "broken" {
		t.Errorf("the worst problem is %+v", worst)
	}
	if Worst(nil) != nil {
		t.Error("there is a problem where there is none")
	}
}

func TestVerified(t *testing.T) {
	look, text := Verified(dbus.Verification{Verified: true, Records: 1, Sentences: []string{"1 record.", "the log agrees with itself"}}, nil)
	if look.Tone != say.Good || text != "1 record.\nThe log agrees with itself." {
		t.Errorf("%+v, %q", look, text)
	}
	if look, _ := Verified(dbus.Verification{Sentences: []string{"record 4 was changed"}}, nil); look.Tone != say.Bad {
		t.Errorf("a log that was changed is %+v", look)
	}
	if look, text := Verified(dbus.Verification{Verified: true}, context.DeadlineExceeded); look.Tone == say.Good || text == "" {
		t.Errorf("what was not checked is %+v, %q", look, text)
	}
}

// TestTheGrantIsSaid in one line, however a key's time is bounded.
func TestTheGrantIsSaid(t *testing.T) {
	t.Parallel()
	for want, q := range map[string]dbus.Qube{
		"Until it is revoked":                         {},
		"Until dom0 reboots":                          {GrantUntilReboot: true},
		"For 3 more of 10 commands":                   {GrantCount: 10, GrantLeft: 3},
		"Until dom0 reboots, for 0 more of 1 command": {GrantUntilReboot: true, GrantCount: 1},
		"No more: what it was authorised for is over, and each request is denied": {GrantCount: 10, GrantEnded: true},
	} {
		if got := Grant(q); got != want {
			t.Errorf("%+v: %q, want %q", q, got, want)
		}
	}
}
