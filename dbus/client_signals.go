package dbus

import (
	"sync"

	godbus "github.com/godbus/dbus/v5"
)

// maxSignals is how many signals wait for a mirror at most.
const maxSignals = 10_000

// signalQueue keeps signals in the order in which the bus sent them. godbus
// fills it from the goroutine that reads the connection, so that whoever has
// an answer finds every signal that came before it here. It never makes that
// goroutine wait: when too many wait, they are dropped, and that is told.
//
// Anyone on the bus may send anyone a signal: only those of the bus about the
// service's name, and of who owns it, are let in.
type signalQueue struct {
	ready chan struct{} // capacity 1: there is something to take

	mu      sync.Mutex
	on      bool // somebody takes
	owner   string
	decided godbus.Sequence // the message that said who owner is
	waiting []*godbus.Signal
	lost    bool
	closed  bool
}

func newSignalQueue() *signalQueue { return &signalQueue{ready: make(chan struct{}, 1)} }

// DeliverSignal is for godbus.
func (q *signalQueue) DeliverSignal(_, _ string, s *godbus.Signal) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.on || q.closed {
		return
	}
	if s.Sender == busName {
		_, owner, ok := ownerChange(s)
		if !ok {
			return
		}
		q.owner, q.decided = owner, s.Sequence
	} else if s.Sender != q.owner {
		return
	}
	if len(q.waiting) >= maxSignals {
		q.waiting, q.lost = nil, true
	}
	q.waiting = append(q.waiting, s)
	q.wake()
}

// Terminate is for godbus: the connection ends.
func (q *signalQueue) Terminate() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.wake()
}

func (q *signalQueue) wake() {
	select {
	case q.ready <- struct{}{}:
	default:
	}
}

// open begins to keep signals; false when somebody takes them already.
func (q *signalQueue) open() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.on {
		return false
	}
	q.on = true
	if q.closed {
		q.wake()
	}
	return true
}

func (q *signalQueue) shut() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.on, q.waiting, q.lost, q.owner, q.decided = false, nil, false, "", 0
}

// own lets the signals of owner in, unless a later message named another, and
// returns who owns the name.
func (q *signalQueue) own(owner string, at godbus.Sequence) string {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at > q.decided {
		q.owner, q.decided = owner, at
	}
	return q.owner
}

// taken is what waited.
type taken struct {
	signals []*godbus.Signal
	owner   string // of the service's name, by the last message about it
	lost    bool   // signals before these were dropped
	closed  bool   // no more will come
}

func (q *signalQueue) take() taken {
	q.mu.Lock()
	defer q.mu.Unlock()
	t := taken{q.waiting, q.owner, q.lost, q.closed}
	q.waiting, q.lost = nil, false
	return t
}

// ownerChange is what a NameOwnerChanged about the service's name says.
func ownerChange(s *godbus.Signal) (before, owner string, ok bool) {
	var name string
	if s.Sender != busName || s.Name != busName+".NameOwnerChanged" ||
		godbus.Store(s.Body, &name, &before, &owner) != nil || name != Name {
		return "", "", false
	}
	return before, owner, true
}
