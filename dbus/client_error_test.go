package dbus

import (
	"bytes"
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
)

func TestErrorsAreInWords(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	for name, want := range map[string]struct {
		code Code
		text string
	}{
		"org.qvmremote1.Error.OtherKey":                   {OtherKey, `said so\x1b[31m`},
		"org.qvmremote1.Error.NeverHeardOf":               {"NeverHeardOf", "said so"},
		"org.freedesktop.DBus.Error.ServiceUnknown":       {Absent, "journalctl -u qvm-remote-manage"},
		"org.freedesktop.DBus.Error.NameHasNoOwner":       {Absent, "journalctl -u qvm-remote-manage"},
		"org.freedesktop.DBus.Error.Spawn.ChildExited":    {Absent, "journalctl -u qvm-remote-manage"},
		"org.freedesktop.systemd1.NoSuchUnit":             {Absent, "journalctl -u qvm-remote-manage"},
		"org.freedesktop.DBus.Error.AccessDenied":         {NotAuthorized, "not in the group qubes"},
		"org.freedesktop.DBus.Error.NoReply":              {TimedOut, "did not answer in time"},
		"org.freedesktop.DBus.Error.TimedOut":             {TimedOut, "did not answer in time"},
		"org.freedesktop.DBus.Error.LimitsExceeded":       {LimitsExceeded, "try again"},
		"org.freedesktop.DBus.Error.UnknownMethod":        {Incompatible, "same version"},
		"org.freedesktop.DBus.Error.InvalidArgs":          {Incompatible, "same version"},
		"org.example.Unheard":                             {Failed, `org.example.Unheard: said so\x1b[31m`},
		"org.freedesktop.DBus.Error.Disconnected":         {Disconnected, "lost"},
		"org.qvmremote1.Error.Unavailable":                {Unavailable, "said so"},
		"org.freedesktop.DBus.Error.InteractiveSomething": {Failed, "said so"},
	} {
		f.fail("Pause", name, "said so\x1b[31m")
		err := c.Pause(context.Background())
		var e *Error
		if !errors.As(err, &e) || e.Code != want.code || !strings.Contains(e.Text, want.text) {
			t.Errorf("%s became %#v", name, err)
		}
		if strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%s: the text could steer a terminal", name)
		}
		if !errors.Is(err, Err(want.code)) {
			t.Errorf("%s: errors.Is does not find %s", name, want.code)
		}
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	c := dial(t, b)
	if here, err := c.Present(context.Background()); here || err != nil {
		t.Errorf("somebody is there: %v, %v", here, err)
	}
	if err := c.Pause(context.Background()); !errors.Is(err, Err(Absent)) {
		t.Errorf("a call to nobody: %v", err)
	}
	newFake(t, b).own()
	if here, err := c.Present(context.Background()); !here || err != nil {
		t.Errorf("nobody is there: %v, %v", here, err)
	}
}

// TestNoAutoStartStartsNothing: the program that would be started fails, and
// says so where it is tried.
func TestNoAutoStartStartsNothing(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	tried := t.TempDir() + "/tried"
	b.Activatable(t, Name, "/bin/sh", []string{"-c", "touch " + tried + "; exit 1"}, nil)
	c := dial(t, b)
	c.NoAutoStart = true
	if err := c.Pause(context.Background()); !errors.Is(err, Err(Absent)) {
		t.Errorf("without a start: %v", err)
	}
	if _, err := os.Stat(tried); err == nil {
		t.Error("something was started")
	}
	if err := dial(t, b).Pause(context.Background()); !errors.Is(err, Err(Absent)) {
		t.Errorf("with a start that fails: %v", err)
	}
	if _, err := os.Stat(tried); err != nil {
		t.Error("nothing was started")
	}
}

func TestInteractiveIsTold(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	for _, interactive := range []bool{false, true} {
		c.Interactive = interactive
		if err := c.Pause(context.Background()); err != nil {
			t.Fatal(err)
		}
		calls := f.got("Pause")
		if got := calls[len(calls)-1].Flags&godbus.FlagAllowInteractiveAuthorization != 0; got != interactive {
			t.Errorf("polkit may ask: %v, want %v", got, interactive)
		}
	}
}

// hang lets calls of a method wait until the test ends.
func hang(t *testing.T, f *fake, method string) {
	ended := make(chan struct{})
	t.Cleanup(func() { close(ended) })
	f.on(method, func(asked) ([]any, error) { <-ended; return nil, nil })
}

func TestServiceThatHangs(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	hang(t, f, "Pause")
	c.patience = 20 * time.Millisecond
	if err := c.Pause(context.Background()); !errors.Is(err, Err(TimedOut)) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the client's own deadline: %v", err)
	}
	late, stop := context.WithTimeout(context.Background(), time.Millisecond)
	defer stop()
	if err := c.Pause(late); !errors.Is(err, Err(TimedOut)) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("after the caller's deadline: %v", err)
	}
	c.patience = 0
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		eventually(t, "a third call", func() bool { return len(f.got("Pause")) >= 2 })
		cancel()
	}()
	if err := c.Pause(ctx); !errors.Is(err, Err(Cancelled)) || !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if err := c.Resume(context.Background()); err != nil {
		t.Errorf("the client is of no use after that: %v", err)
	}
}

func TestLostConnection(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f := newFake(t, b)
	f.own()
	c := dial(t, b)
	hang(t, f, "Pause")
	failed := make(chan error)
	go func() { failed <- c.Pause(context.Background()) }()
	eventually(t, "the call", func() bool { return len(f.got("Pause")) == 1 })
	b.Stop()
	if err := <-failed; !errors.Is(err, Err(Disconnected)) {
		t.Errorf("a call whose bus ends: %v", err)
	}
	if err := c.Resume(context.Background()); !errors.Is(err, Err(Disconnected)) {
		t.Errorf("a call after that: %v", err)
	}
	if _, err := Dial(context.Background(), b.Address); !errors.Is(err, Err(Disconnected)) {
		t.Errorf("connecting to no bus: %v", err)
	}
}

func TestAnswersOfAnotherForm(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.reply("GetAll", map[string]godbus.Variant{"State": godbus.MakeVariant("running")})
	if _, err := c.ReadManager(context.Background()); !errors.Is(err, Err(Incompatible)) {
		t.Errorf("properties are missing: %v", err)
	}
	f.reply("GetAll", "x")
	if _, err := c.ReadManager(context.Background()); !errors.Is(err, Err(Incompatible)) {
		t.Errorf("no properties: %v", err)
	}
	for _, name := range []string{"", "../x", strings.Repeat("a", 300), "a\x00b"} {
		if _, err := c.QueueStatus(context.Background(), name); !errors.Is(err, Err(InvalidArgument)) {
			t.Errorf("a qube of the name %q: %v", name, err)
		}
	}
	if _, err := c.FetchKey(context.Background(), "\xff"); !errors.Is(err, Err(InvalidArgument)) {
		t.Errorf("text that is not UTF-8: %v", err)
	}
	if err := c.Pause(context.Background()); err != nil {
		t.Errorf("the connection is of no use after that: %v", err)
	}
}

func TestDialIsBounded(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	address, met := deafBus(t)
	go func() { <-met; stop() }()
	if _, err := Dial(ctx, address); !errors.Is(err, context.Canceled) {
		t.Errorf("a bus that never speaks: %v", err)
	}
}

func TestFailedWriterEndsTheExport(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	broken := errors.New("disk full")
	f.on("ExportAudit", func(a asked) ([]any, error) {
		file := os.NewFile(uintptr(a.Args[0].(godbus.UnixFD)), "export")
		defer file.Close()
		for {
			if _, err := file.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
				return nil, err // nobody reads any more
			}
		}
	})
	if _, err := c.ExportAudit(context.Background(), writer(func([]byte) (int, error) { return 0, broken }), "text"); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
