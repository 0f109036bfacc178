// Package mirror copies the audit log for people: into a log file in the first
// version's line format, and into the journal.
//
// It guarantees:
//   - One record makes whole lines only; nothing a qube wrote can end a line,
//     begin another, move a cursor or pass for a field ([queue.Quote]).
//   - No output of a command, no key and no secret is in a copy.
//   - A copy that fails is a warning. It stops nothing and is waited for at
//     most a second.
//
// The copies prove nothing; the audit log does.
package mirror

import (
	"errors"
	"sync"
	"time"

	"qvmremote/daemon/audit"
)

// journalWait is how long an entry may take. The journal blocks its senders
// when it cannot keep up.
const journalWait = time.Second

// Mirror writes both copies. Its methods may be called by many.
type Mirror struct {
	path string
	file sync.Mutex        // one record after the other into the file
	send func(Entry) error // nil: no journal
	busy chan struct{}     // holds a token while an entry is on its way
	wait time.Duration     // for one entry

	mu   sync.Mutex
	late bool // the entry on its way has been waited for long enough
}

// New returns a mirror with the log file at path. The file is made when it is
// first written to, and opened anew each time, so that it may be rotated by
// renaming. withJournal must be false where the root is not "/"; on a machine
// without a journal only the file is written.
func New(path string, withJournal bool) *Mirror {
	m := &Mirror{path: path, busy: make(chan struct{}, 1), wait: journalWait}
	if withJournal {
		m.send = sender()
	}
	return m
}

// Write copies one record. The error says which copy it is missing from.
func (m *Mirror) Write(r audit.Record) (warning error) {
	return errors.Join(m.writeFile(lines(r)), m.writeJournal(r))
}

var errLate = errors.New("the journal does not take entries; what happens now is only in the audit log and in the log for people")

func (m *Mirror) writeJournal(r audit.Record) error {
	if m.send == nil || r.Event == audit.CarryEvent {
		return nil
	}
	if m.isLate() {
		return errLate
	}
	timer := time.NewTimer(m.wait)
	defer timer.Stop()
	select {
	case m.busy <- struct{}{}:
	case <-timer.C:
		return errLate
	}
	sent := make(chan error, 1)
	e := entry(r)
	go func() {
		err := m.send(e)
		m.mu.Lock()
		defer m.mu.Unlock()
		sent <- err
		m.late = false
		<-m.busy
	}()
	select {
	case err := <-sent:
		return err
	case <-timer.C:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	select {
	case err := <-sent: // just now; nobody would take the mark back
		return err
	default:
		m.late = true
		return errLate
	}
}

func (m *Mirror) isLate() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.late
}
