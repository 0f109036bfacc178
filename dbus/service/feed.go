package service

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
)

// Bounds of what is read and sent at once.
const (
	maxPending = 10000 // records read and not told yet; the reading waits
	maxTold    = 1000  // records in one signal
	lookBack   = 2000  // records looked at, when the service begins, for each qube's newest
)

// told is a record as RecordsAdded tells it.
type told struct {
	Seq    uint64
	Time   int64 // Unix microseconds
	Event  string
	Qube   string
	Number uint64
	State  string
}

// tally is what is counted for a qube.
type tally struct{ completed, failed, last uint64 }

// feed follows the audit log, whoever writes it, and tells everybody what
// records there are.
type feed struct {
	s    *Service
	wake chan struct{} // something is pending
	room chan struct{} // something was told
	poke chan struct{} // a log may have been begun

	mu      sync.Mutex
	next    int64 // number of the next record
	pending []told
	qubes   map[string]*tally
}

func newFeed(s *Service) *feed {
	return &feed{s: s, wake: make(chan struct{}, 1), room: make(chan struct{}, 1), poke: make(chan struct{}, 1), qubes: map[string]*tally{}}
}

// prime finds the end of the log, and what was last about each qube.
func (f *feed) prime(ctx context.Context) {
	n := 0
	err := audit.Back(ctx, f.s.o.Root.Audit(), 0, func(r audit.Record, _ []byte) error {
		f.next = max(f.next, r.Seq+1)
		if t := f.of(r.Qube); t != nil && t.last == 0 {
			t.last = uint64(r.Seq)
		}
		if n++; n >= lookBack {
			return io.EOF
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.s.o.Log.Warn("the audit log cannot be read", "error", err)
	}
}

// of is the tally of a qube; nil for none. The lock is held, or nobody else
// there yet.
func (f *feed) of(qube string) *tally {
	if qube == "" {
		return nil
	}
	t := f.qubes[qube]
	if t == nil {
		t = &tally{}
		f.qubes[qube] = t
	}
	return t
}

// loop reads what is written until the service ends.
func (f *feed) loop() {
	defer f.s.loops.Done()
	for f.s.life.Err() == nil {
		f.mu.Lock()
		next := f.next
		f.mu.Unlock()
		err := audit.Follow(f.s.life, f.s.o.Root.Audit(), next, func(r audit.Record, _ []byte) error { return f.take(r) })
		if err != nil && f.s.life.Err() == nil {
			if !errors.Is(err, fs.ErrNotExist) {
				f.s.o.Log.Warn("the audit log cannot be followed; trying again", "error", err)
			}
			select {
			case <-f.s.life.Done():
			case <-f.poke:
			case <-time.After(f.s.o.Times.Retry):
			}
		}
	}
}

// again looks for a log at once, where there was none.
func (f *feed) again() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// take counts a record and puts it with those to be told.
func (f *feed) take(r audit.Record) error {
	if r.Event == audit.Unreadable {
		return nil // it has no number of its own; the health tells of damage
	}
	f.mu.Lock()
	f.next = max(f.next, r.Seq+1)
	if t := f.of(r.Qube); t != nil {
		t.last = uint64(r.Seq)
		switch {
		case r.Event != audit.Final:
		case r.State == audit.Exit && r.Exit != nil && *r.Exit == 0:
			t.completed++
		default:
			t.failed++
		}
	}
	f.pending = append(f.pending, told{uint64(r.Seq), r.Time.UnixMicro(), string(r.Event), r.Qube, uint64(max(r.Number, 0)), string(r.State)})
	full := len(f.pending) >= maxPending
	f.mu.Unlock()
	switch r.Event {
	case audit.Authorized, audit.Revoked, audit.Rotating, audit.Rotated, audit.Connected, audit.Disconnected, audit.Setting:
		f.s.objects.look.stale.Store(true)
	}
	select {
	case f.wake <- struct{}{}:
	default:
	}
	for full {
		select {
		case <-f.s.life.Done():
			return f.s.life.Err()
		case <-f.room:
			full = false
		}
	}
	return nil
}

// send tells what is pending, at once, and then what came within a little
// while together.
func (f *feed) send() {
	defer f.s.loops.Done()
	for {
		select {
		case <-f.s.life.Done():
			return
		case <-f.wake:
		}
		f.mu.Lock()
		batch := f.pending
		f.pending = nil
		f.mu.Unlock()
		select {
		case f.room <- struct{}{}:
		default:
		}
		for len(batch) > 0 {
			n := min(len(batch), maxTold)
			f.s.objects.emit(dbus.ManagerPath, dbus.ManagerInterface+".RecordsAdded", batch[:n])
			batch = batch[n:]
		}
		f.s.objects.touch()
		select {
		case <-f.s.life.Done():
			return
		case <-time.After(f.s.o.Times.Gather):
		}
	}
}

// fill adds what the log tells to the manager's properties.
func (f *feed) fill(p properties) properties {
	f.mu.Lock()
	defer f.mu.Unlock()
	p["AuditHead"] = uint64(f.next)
	return p
}

// fillQube adds what the log tells to a qube's properties.
func (f *feed) fillQube(name string, p properties) properties {
	f.mu.Lock()
	defer f.mu.Unlock()
	var t tally
	if known := f.qubes[name]; known != nil {
		t = *known
	}
	p["Completed"], p["Failed"], p["LastSeq"] = t.completed, t.failed, t.last
	return p
}
