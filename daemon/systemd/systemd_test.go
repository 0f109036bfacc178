package systemd_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/systemd"
	"qvmremote/test/bus"
	fake "qvmremote/test/bus/systemd"
)

const thing = "thing-1.service"

// patience bounds what must happen at all.
const patience = time.Minute

// world is a bus with a systemd that has the unit thing.
type world struct {
	*testing.T
	bus   *bus.Bus
	fake  *fake.Fake
	units systemd.Units
	ctx   context.Context
}

func newWorld(t *testing.T, h fake.Hooks) *world {
	t.Helper()
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	b := bus.Start(t)
	w := &world{T: t, bus: b, fake: fake.Start(t, b), units: systemd.New(b.Address, true), ctx: ctx}
	w.fake.Add(thing, h)
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) wantActive(want string) {
	w.Helper()
	got, err := w.units.Active(w.ctx, thing)
	if err != nil || got != want {
		w.Errorf("the unit is %q (%v), want %q", got, err, want)
	}
}

func TestStartStopRestart(t *testing.T) {
	var mu sync.Mutex
	var did []string
	note := func(what string) func(string) error {
		return func(unit string) error {
			mu.Lock()
			defer mu.Unlock()
			did = append(did, what+" "+unit)
			return nil
		}
	}
	w := newWorld(t, fake.Hooks{Start: note("start"), Stop: note("stop")})
	w.wantActive("inactive")
	w.must(w.units.Start(w.ctx, thing))
	w.wantActive("active")
	w.must(w.units.Start(w.ctx, thing)) // runs already
	w.must(w.units.Restart(w.ctx, thing, true))
	w.must(w.units.Stop(w.ctx, thing, true))
	w.wantActive("inactive")
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"start " + thing, "stop " + thing, "start " + thing, "stop " + thing}; !slices.Equal(did, want) {
		t.Errorf("done %q, want %q", did, want)
	}
}

func TestWhatFailsIsSaid(t *testing.T) {
	w := newWorld(t, fake.Hooks{Start: func(string) error { return errors.New("no") }})
	err := w.units.Start(w.ctx, thing)
	var job *systemd.JobError
	if !errors.As(err, &job) || *job != (systemd.JobError{Unit: thing, Verb: "start", Result: "failed"}) {
		t.Fatalf("error %v", err)
	}
	if !strings.Contains(err.Error(), "journalctl -u "+thing) {
		t.Errorf("%q does not say where to look", err)
	}
	w.wantActive("failed")
}

// TestNoWait: a service that asks for its own stop gets an answer before it has
// stopped.
func TestNoWait(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, fake.Hooks{Stop: func(string) error { <-release; return nil }})
	w.must(w.units.Start(w.ctx, thing))
	w.must(w.units.Stop(w.ctx, thing, false))
	w.must(w.units.Restart(w.ctx, thing, false))
	if w.fake.Active(thing) == "inactive" {
		t.Error("the unit stopped before it was let")
	}
	close(release)
}

func TestWaitEndsWithItsContext(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, fake.Hooks{Start: func(string) error { close(begun); <-release; return nil }})
	ctx, cancel := context.WithCancel(w.ctx)
	go func() { <-begun; cancel() }()
	if err := w.units.Start(ctx, thing); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(release)
}

func TestWaitEndsWithTheBus(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, fake.Hooks{Start: func(string) error { close(begun); <-release; return nil }})
	ended := make(chan error, 1)
	go func() { ended <- w.units.Start(w.ctx, thing) }()
	<-begun
	w.bus.Stop()
	if err := <-ended; err == nil || w.ctx.Err() != nil {
		t.Errorf("error %v", err)
	}
	close(release)
}

// TestForgedSignals: anybody on a bus may send anybody a signal.
func TestForgedSignals(t *testing.T) {
	begun, release := make(chan struct{}), make(chan struct{})
	w := newWorld(t, fake.Hooks{Start: func(string) error { close(begun); <-release; return errors.New("no") }})
	ended := make(chan error, 1)
	go func() { ended <- w.units.Start(w.ctx, thing) }()
	<-begun
	liar := w.bus.Connect(t)
	for _, to := range w.names() {
		for id := range uint32(5) {
			m := &godbus.Message{Type: godbus.TypeSignal, Headers: map[godbus.HeaderField]godbus.Variant{
				godbus.FieldDestination: godbus.MakeVariant(to), godbus.FieldPath: godbus.MakeVariant(fake.Path),
				godbus.FieldInterface: godbus.MakeVariant(fake.Manager), godbus.FieldMember: godbus.MakeVariant("JobRemoved"),
				godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf(id, fake.Path, "", "")),
			}, Body: []any{id, fake.Path, thing, "done"}}
			w.must(liar.Send(m, nil).Err)
		}
	}
	w.names() // the bus has sent them on: it answers in order
	close(release)
	if err := <-ended; !errors.As(err, new(*systemd.JobError)) {
		t.Errorf("a stranger's word was taken for systemd's: %v", err)
	}
}

// names are the unique names on the bus.
func (w *world) names() []string {
	w.Helper()
	var all []string
	w.must(w.bus.Connect(w.T).BusObject().Call("org.freedesktop.DBus.ListNames", 0).Store(&all))
	return slices.DeleteFunc(all, func(n string) bool { return !strings.HasPrefix(n, ":") })
}

func TestEnableDisable(t *testing.T) {
	w := newWorld(t, fake.Hooks{})
	for _, step := range []struct {
		do   func(context.Context, string) error
		want string
	}{{nil, "disabled"}, {w.units.Enable, "enabled"}, {w.units.Enable, "enabled"}, {w.units.Disable, "disabled"}} {
		if step.do != nil {
			w.must(step.do(w.ctx, thing))
		}
		if got, err := w.units.Enabled(w.ctx, thing); err != nil || got != step.want {
			t.Errorf("the unit's file is %q (%v), want %q", got, err, step.want)
		}
	}
	w.wantActive("inactive")
	if got := w.fake.Calls(); !slices.Contains(got, "Reload") {
		t.Errorf("systemd was not told to read its units again: %q", got)
	}
}

func TestUnitNotInstalled(t *testing.T) {
	w := newWorld(t, fake.Hooks{})
	if word, err := w.units.Enabled(w.ctx, "other.service"); word != "" || err != nil {
		t.Errorf("%q, %v", word, err)
	}
	if state, err := w.units.Active(w.ctx, "other.service"); state != "inactive" || err != nil {
		t.Errorf("%q, %v", state, err)
	}
	for _, err := range []error{w.units.Start(w.ctx, "other.service"), w.units.Enable(w.ctx, "other.service")} {
		if err == nil || !strings.Contains(err.Error(), "knows no unit other.service") {
			t.Errorf("error %v", err)
		}
	}
}

func TestOnlyRootMay(t *testing.T) {
	w := newWorld(t, fake.Hooks{})
	w.fake.Refuse("StartUnit", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "Interactive authentication required.")
	if err := w.units.Start(w.ctx, thing); !errors.Is(err, os.ErrPermission) {
		t.Errorf("error %v", err)
	}
}

func TestNoSystemd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	b := bus.Start(t)
	// As on a machine whose bus came with files for a systemd that does not run.
	b.Activatable(t, fake.Name, "/bin/false", nil, nil)
	for what, u := range map[string]systemd.Units{
		"no bus for this root": systemd.New("unix:path=/somewhere", false),
		"no socket":            systemd.New("unix:path="+filepath.Join(t.TempDir(), "bus"), true),
		"not on the bus":       systemd.New(b.Address, true),
	} {
		_, enabled := u.Enabled(ctx, thing)
		_, active := u.Active(ctx, thing)
		for i, err := range []error{u.Start(ctx, thing), u.Stop(ctx, thing, false), u.Restart(ctx, thing, true),
			u.Enable(ctx, thing), u.Disable(ctx, thing), enabled, active, u.Watch(ctx, thing, func() {})} {
			if !errors.Is(err, systemd.ErrNone) {
				t.Errorf("%s, call %d: %v", what, i, err)
			}
		}
	}
	if err := systemd.New("", false).Start(ctx, thing); err.Error() != "there is no systemd here that could start "+thing {
		t.Errorf("error %q", err)
	}
}

func TestNoConnectionIsLeft(t *testing.T) {
	release := make(chan struct{})
	w := newWorld(t, fake.Hooks{Stop: func(string) error { <-release; return nil }})
	before := len(w.names())
	w.must(w.units.Start(w.ctx, thing))
	w.must(w.units.Enable(w.ctx, thing))
	w.must(w.units.Stop(w.ctx, thing, false))
	_ = w.units.Start(w.ctx, "other.service")
	ctx, cancel := context.WithCancel(w.ctx)
	if err := w.units.Watch(ctx, thing, cancel); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	close(release)
	// Each look adds a connection that lasts as long as the test.
	for looks := 1; ; looks++ {
		if left := len(w.names()) - before - looks; left == 0 {
			return
		} else if w.ctx.Err() != nil {
			t.Fatalf("%d connections are left", left)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
