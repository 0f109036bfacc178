package daemon

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"sync"
	"time"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// Status is what the executor tells others on this machine about itself, in
// the file paths.Root.Status. It is a snapshot for people; nothing is decided
// by it.
type Status struct {
	Version           string       `json:"version"`
	Pid               int          `json:"pid"`
	Since             time.Time    `json:"since"`
	DryRun            bool         `json:"dry_run,omitempty"`
	State             string       `json:"state"`                        // running, paused or stopping
	StoppedEverything bool         `json:"stopped_everything,omitempty"` // what ran was ended, too; State is paused then, or stopping
	Running           int          `json:"running"`                      // commands of all qubes
	Waiting           int          `json:"waiting"`                      // claimed and not started, of all qubes
	Qubes             []QubeStatus `json:"qubes"`
	Health            []Health     `json:"health,omitempty"`
}

// What Status.State says.
const (
	StateRunning  = "running"
	StatePaused   = "paused"   // nothing new is taken; what runs goes on, unless StoppedEverything
	StateStopping = "stopping" // the executor is about to end
)

// QubeStatus is one configured qube's part of Status.
type QubeStatus struct {
	Name  string    `json:"name"`
	State string    `json:"state"` // connected, or why not
	Since time.Time `json:"since"`
	// Transport is how it is reached while it is connected, in the words of
	// QVM_REMOTE_TRANSPORT: stream, qrexec or poll.
	Transport string `json:"transport,omitempty"`
	Running   int    `json:"running"` // commands that hold a slot
	Open      int    `json:"open"`    // requests not delivered yet
	Refused   int64  `json:"refused"` // since the executor started
}

// What QubeStatus.State says of a qube that runs; of another one it is the
// state that dom0 tells, such as Halted.
const (
	StateNew       = "not looked at yet"
	StateConnected = "connected"
	StateNoAgent   = "no qvm-remote in the qube"
	stateLost      = "connection lost"
	stateRefused   = "cannot connect"
	stateUnasked   = "cannot ask for its state"
)

// Failing reports whether the qube should be connected and is not.
func (q QubeStatus) Failing() bool {
	return slices.Contains([]string{StateNoAgent, stateLost, stateRefused, stateUnasked}, q.State)
}

// ReadStatus reads what a running executor wrote. A file left by one that died
// has a Pid that is gone; whether one runs is told by its lock.
func ReadStatus(path string) (Status, error) {
	var s Status
	b, err := queue.ReadSmall(path, 1<<20)
	if err != nil {
		return s, err
	}
	return s, json.Unmarshal(b, &s)
}

// status writes the snapshot after changes, never more often than it must.
type status struct {
	x     *Executor
	since time.Time
	dirty chan struct{}
	probe chan struct{} // received from by loop, to show that it goes on

	mu       sync.Mutex
	warnings map[string]string // by code
}

const statusPause = 250 * time.Millisecond // changes within it are written once

func newStatus(x *Executor) *status {
	return &status{x: x, since: x.now(), dirty: make(chan struct{}, 1), probe: make(chan struct{}), warnings: map[string]string{}}
}

// touch says that something changed.
func (s *status) touch() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
	if s.x.shown.Load() {
		s.x.o.Front.Changed()
	}
}

// warnOf keeps a warning until it is lifted with an empty text, and reports
// whether that is news.
func (s *status) warnOf(code, text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warnings[code] == text {
		return false
	}
	if text == "" {
		delete(s.warnings, code)
	} else {
		s.warnings[code] = text
	}
	s.touch()
	return true
}

func (s *status) loop(ctx context.Context, done *sync.WaitGroup) {
	defer done.Done()
	var said string
	for {
		select {
		case <-s.probe:
			continue
		case <-ctx.Done():
			_ = os.Remove(s.x.o.Root.Status()) // on tmpfs; a snapshot decides nothing
			return
		case <-s.dirty:
		}
		now := s.snapshot()
		if line := now.line(); line != said {
			said = line
			s.x.notify("STATUS=" + line)
		}
		b, err := json.Marshal(now)
		if err == nil {
			err = disk.Place("daemon.status", s.x.o.Root.Status(), b, 0o600)
		}
		if err != nil {
			s.x.warn("cannot write the status file", "error", err)
		}
		if !sleep(ctx, statusPause, nil) {
			continue
		}
	}
}

// Snapshot is how the executor is now. It may be called by any goroutine
// between Front.Ready and the end of Front.Closed.
func (x *Executor) Snapshot() Status {
	x.lookAtBrake() // whoever paused or resumed a moment ago reads what they did
	return x.status.snapshot()
}

func (s *status) snapshot() Status {
	x := s.x
	out := Status{Version: queue.Version, Pid: os.Getpid(), Since: s.since, DryRun: x.o.DryRun, Qubes: []QubeStatus{}}
	for _, name := range x.names() {
		q := x.qubeOf(name)
		q.refused.mu.Lock()
		refused := q.refused.total
		q.refused.mu.Unlock()
		q.mu.Lock()
		one := QubeStatus{Name: name, State: q.state, Since: q.since, Transport: q.transport, Open: len(q.active), Refused: refused}
		q.mu.Unlock()
		one.Running = x.slots.Running(name)
		out.Qubes = append(out.Qubes, one)
	}
	s.count(&out)
	out.Health = s.health()
	return out
}

// count adds the state and what is under way.
func (s *status) count(out *Status) {
	s.x.brake.mu.Lock()
	paused := s.x.brake.paused
	out.StoppedEverything = s.x.brake.stopped
	s.x.brake.mu.Unlock()
	out.State = StateRunning
	if paused {
		out.State = StatePaused
	}
	if s.x.accepting.Err() != nil {
		out.State = StateStopping
	}
	for _, r := range s.x.active() {
		switch r.phase.name() {
		case CommandRunning:
			out.Running++
		case CommandWaiting, CommandAsking:
			out.Waiting++
		}
	}
}

// complain shows a trouble and logs it once, until it is lifted with a nil error.
func (x *Executor) complain(code, what string, err error) {
	if err == nil {
		x.status.warnOf(code, "")
		return
	}
	if x.status.warnOf(code, what+": "+err.Error()) {
		x.warn(what, "error", err)
	}
}

// mirrorFailed tells that the copies of the audit log for people are behind;
// the log itself is not.
func (x *Executor) mirrorFailed(err error) {
	x.complain(healthMirror, "cannot write the copy of the log", err)
}
