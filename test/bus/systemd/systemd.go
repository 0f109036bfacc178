// Package systemd is a systemd for tests, on a private bus: it has the units
// that a test gives it, and starts and stops them by calling the test.
//
// It guarantees that it does one job of a unit at a time, and announces a job's
// end after the change of the unit's state. It knows no dependencies.
package systemd

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
)

// Name, Path and Manager are systemd's own on the system bus.
const (
	Name    = "org.freedesktop.systemd1"
	Path    = dbus.ObjectPath("/org/freedesktop/systemd1")
	Manager = Name + ".Manager"

	unitIface   = Name + ".Unit"
	unitsPath   = Path + "/unit"
	noSuchUnit  = Name + ".NoSuchUnit"
	notThere    = "org.freedesktop.DBus.Error.FileNotFound"
	badProperty = "org.freedesktop.DBus.Error.UnknownProperty"
)

// jobsLimit is how long Finish waits for jobs to end.
const jobsLimit = 10 * time.Second

// Hooks do what a unit does. Start returns nil when the service is ready; an
// error of either makes the job fail. A hook that is nil always succeeds.
type Hooks struct {
	Start, Stop func(unit string) error
}

// Fake is the systemd of one bus.
type Fake struct {
	conn *dbus.Conn
	jobs sync.WaitGroup

	mu         sync.Mutex
	units      map[string]*unit
	calls      []string
	refusals   map[string]*dbus.Error // by method
	subscribed bool
	last       uint32 // job
}

type unit struct {
	name   string
	hooks  Hooks
	job    sync.Mutex // held while one is done
	word   string     // "enabled", …
	active string     // ActiveState
}

// Start puts a systemd without units on b.
func Start(t testing.TB, b *bus.Bus) *Fake {
	t.Helper()
	return Serve(t, b.Connect(t))
}

// Serve makes conn a systemd's connection.
func Serve(t testing.TB, conn *dbus.Conn) *Fake {
	t.Helper()
	f, err := New(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Finish(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// New is [Serve] for a program that is no test.
func New(conn *dbus.Conn) (*Fake, error) {
	f := &Fake{conn: conn, units: map[string]*unit{}, refusals: map[string]*dbus.Error{}}
	for _, err := range []error{
		conn.Export(methods{f}, Path, Manager),
		conn.ExportSubtree(properties{f}, unitsPath, "org.freedesktop.DBus.Properties"),
	} {
		if err != nil {
			return nil, fmt.Errorf("fake systemd: %w", err)
		}
	}
	reply, err := conn.RequestName(Name, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return nil, fmt.Errorf("fake systemd: own its name: %v, %w", reply, err)
	}
	return f, nil
}

// Finish waits for the jobs to end.
func (f *Fake) Finish() error {
	ended := make(chan struct{})
	go func() { f.jobs.Wait(); close(ended) }()
	select {
	case <-ended:
		return nil
	case <-time.After(jobsLimit):
		return fmt.Errorf("fake systemd: a job has not ended %v after it should have", jobsLimit)
	}
}

// Add installs a unit: disabled, inactive.
func (f *Fake) Add(name string, h Hooks) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.units[name] = &unit{name: name, hooks: h, word: "disabled", active: "inactive"}
}

// Calls lists the methods called, in their order, with the unit where there is
// one: "StartUnit thing.service", "Reload".
func (f *Fake) Calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Refuse makes every call of a method of the manager fail with an error of that
// name from now on, or succeed again where name is "".
func (f *Fake) Refuse(method, name, text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.refusals, method)
	if name != "" {
		f.refusals[method] = dbus.NewError(name, []any{text})
	}
}

// Enabled is the state of the unit's file, "" where there is none.
func (f *Fake) Enabled(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.units[name]; u != nil {
		return u.word
	}
	return ""
}

// Active is the unit's state, "inactive" where there is no such unit.
func (f *Fake) Active(name string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u := f.units[name]; u != nil {
		return u.active
	}
	return "inactive"
}

// SetEnabled changes the unit's file, as another administrator would.
func (f *Fake) SetEnabled(name, word string) {
	f.mu.Lock()
	f.units[name].word = word
	f.mu.Unlock()
	f.emit(Path, Manager+".UnitFilesChanged")
}

// SetActive changes the unit's state, as when a service crashes.
func (f *Fake) SetActive(name, state string) {
	f.mu.Lock()
	u := f.units[name]
	f.mu.Unlock()
	f.become(u, state)
}

// Subscribed reports whether somebody asked for signals of units.
func (f *Fake) Subscribed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.subscribed
}

// emit sends a signal; a bus that is gone ends the test by other means.
func (f *Fake) emit(path dbus.ObjectPath, name string, values ...any) {
	_ = f.conn.Emit(path, name, values...)
}
