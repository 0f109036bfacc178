// Package slots hands out the right to run a command, fairly: it guarantees
// that no qube waits behind another one's queue. A qube with nothing running
// always gets a slot, up to a bound on all of them; beyond that, free slots go
// round by qube.
package slots

import (
	"context"
	"sync"
)

// Limits say how many commands run at once.
type Limits struct {
	All  int // in all, while each qube has one
	Qube int // of one qube
	Hard int // in all, ever
}

// Slots counts what runs.
type Slots struct {
	mu      sync.Mutex
	limits  Limits
	running map[string]int
	total   int
	waiting map[string][]chan struct{} // by qube, first come first
	order   []string                   // qubes that wait, in turn
}

// New returns slots with no command running.
func New(l Limits) *Slots {
	return &Slots{limits: l, running: map[string]int{}, waiting: map[string][]chan struct{}{}}
}

// SetLimits changes the limits; what runs already is left alone.
func (s *Slots) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	s.grant()
}

// Acquire waits for a slot for the qube. The caller gives it back with
// [Slots.Release]. The error is ctx's cause.
func (s *Slots) Acquire(ctx context.Context, qube string) error {
	s.mu.Lock()
	turn := make(chan struct{}, 1)
	if len(s.waiting[qube]) == 0 {
		s.order = append(s.order, qube)
	}
	s.waiting[qube] = append(s.waiting[qube], turn)
	s.grant()
	s.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-turn: // granted just before
		s.release(qube)
	default:
		s.withdraw(qube, turn)
	}
	return context.Cause(ctx)
}

// Release gives a slot back.
func (s *Slots) Release(qube string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(qube)
}

// Running is how many commands of a qube hold a slot.
func (s *Slots) Running(qube string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running[qube]
}

func (s *Slots) release(qube string) {
	s.total--
	if s.running[qube]--; s.running[qube] == 0 {
		delete(s.running, qube)
	}
	s.grant()
}

// grant gives slots to those that wait, one a qube and round, until no one
// waiting may have one.
func (s *Slots) grant() {
	for granted := true; granted; {
		granted = false
		for range len(s.order) {
			qube := s.order[0]
			s.order = s.order[1:]
			if s.free(qube) {
				s.waiting[qube][0] <- struct{}{}
				s.waiting[qube] = s.waiting[qube][1:]
				s.running[qube]++
				s.total++
				granted = true
			}
			if len(s.waiting[qube]) == 0 {
				delete(s.waiting, qube)
			} else {
				s.order = append(s.order, qube)
			}
		}
	}
}

func (s *Slots) free(qube string) bool {
	mine := s.running[qube]
	if s.total >= s.limits.Hard || mine >= s.limits.Qube {
		return false
	}
	return mine == 0 || s.total < s.limits.All
}

func (s *Slots) withdraw(qube string, turn chan struct{}) {
	queue := s.waiting[qube]
	for i, t := range queue {
		if t == turn {
			s.waiting[qube] = append(queue[:i:i], queue[i+1:]...)
			break
		}
	}
	if len(s.waiting[qube]) > 0 {
		return
	}
	delete(s.waiting, qube)
	for i, q := range s.order {
		if q == qube {
			s.order = append(s.order[:i:i], s.order[i+1:]...)
			return
		}
	}
}
