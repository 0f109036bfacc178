// Package polkit is a polkit for tests, on a private bus: it answers as it is
// told to and remembers what it was asked.
//
// It guarantees that nobody is allowed anything before a test says so, and
// that a question is recorded before it is answered.
package polkit

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
)

// Name, Path and Interface are polkit's own on the system bus.
const (
	Name      = "org.freedesktop.PolicyKit1"
	Path      = dbus.ObjectPath("/org/freedesktop/PolicyKit1/Authority")
	Interface = "org.freedesktop.PolicyKit1.Authority"
)

// AllowInteraction is the flag of a question that may ask for a password.
const AllowInteraction uint32 = 1

// Answer is how questions are answered.
type Answer int

// The answers.
const (
	ByList    Answer = iota // yes to the actions of SetAllowed, no to others
	Password                // yes where a password may be asked for, otherwise Challenge
	Keep                    // as Password, and what a password was given for goes on to the list
	Challenge               // no, but a password would help
	Dismissed               // no, and somebody closed the password dialog
	Failure                 // an error, as for an action that polkit does not know
	Garbage                 // an answer that is not polkit's
	Hang                    // no answer until the question is cancelled or the fake answers otherwise
)

// Call is one question.
type Call struct {
	Kind    string            // of the subject
	Subject string            // its name
	Action  string            // what is to be allowed
	Details map[string]string // for the password dialog
	Flags   uint32            // AllowInteraction
	Cancel  string            // the id that cancels it
}

// Fake is the polkit of one bus.
type Fake struct {
	conn *dbus.Conn

	mu        sync.Mutex
	answer    Answer
	allowed   []string
	calls     []Call
	cancelled []string
	changed   chan struct{} // closed and renewed by every change
}

// Start puts a polkit on b.
func Start(t testing.TB, b *bus.Bus) *Fake {
	t.Helper()
	return Serve(t, b.Connect(t))
}

// Serve makes conn a polkit's connection, of whatever user that is.
func Serve(t testing.TB, conn *dbus.Conn) *Fake {
	t.Helper()
	f, err := New(conn)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// New is [Serve] for a program that is no test.
func New(conn *dbus.Conn) (*Fake, error) {
	f := &Fake{conn: conn, changed: make(chan struct{})}
	if err := conn.Export(authority{f}, Path, Interface); err != nil {
		return nil, fmt.Errorf("fake polkit: %w", err)
	}
	reply, err := conn.RequestName(Name, dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		return nil, fmt.Errorf("fake polkit: own its name: %v, %w", reply, err)
	}
	return f, nil
}

// Stop takes polkit off the bus, in the middle of whatever it is asked.
func (f *Fake) Stop() { f.conn.Close() }

func (f *Fake) change(what func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	what()
	close(f.changed)
	f.changed = make(chan struct{})
}

// SetAllowed lets everybody do these actions, and no others, by [ByList].
func (f *Fake) SetAllowed(actions ...string) {
	f.change(func() { f.answer, f.allowed = ByList, slices.Clone(actions) })
}

// SetAnswer changes how questions are answered, those that hang included.
func (f *Fake) SetAnswer(a Answer) { f.change(func() { f.answer = a }) }

// Calls are the questions so far, in order.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Cancelled are the ids of the questions that were cancelled, in order.
func (f *Fake) Cancelled() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.cancelled)
}

// Forget empties both records.
func (f *Fake) Forget() { f.change(func() { f.calls, f.cancelled = nil, nil }) }

// Await waits until there are at least this many questions and cancellations,
// and fails the test after 10 s.
func (f *Fake) Await(t testing.TB, calls, cancelled int) {
	t.Helper()
	late := time.After(10 * time.Second)
	for {
		f.mu.Lock()
		c, x, changed := len(f.calls), len(f.cancelled), f.changed
		f.mu.Unlock()
		if c >= calls && x >= cancelled {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("polkit got %d questions and %d cancellations, want %d and %d", c, x, calls, cancelled)
		}
	}
}
