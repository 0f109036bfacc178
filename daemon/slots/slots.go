// Package slots hands out the right to run a command, fairly: it guarantees
// that no qube waits behind another one's queue. A qube with nothing running
// always gets a slot, up to a bound on all of them; beyond that, free slots go
// round by qube.
package slots

import (
	"context"
	"slices"
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
	bounds  map[string]int // lower ones than limits.Qube, by qube
	total   int
	waiting map[string][]chan struct{} // by qube, first come first
	order   []string                   // qubes that wait, in turn
}

// New returns slots with no command running.
func New(l Limits) *Slots {
	return &Slots{limits: l, running: map[string]int{}, bounds: map[string]int{}, waiting: map[string][]chan struct{}{}}
}

// SetLimits changes the limits; what runs already is left alone.
func (s *Slots) SetLimits(l Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	s.grant()
}

// Bound makes n the most that runs of one qube at once, if it is lower than
// [Limits].Qube; what runs already is left alone.
func (s *Slots) Bound(qube string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.bounds[qube] == n {
		return
	}
	s.bounds[qube] = n
	s.grant()
}

// Acquire waits for a slot for the qube. The caller gives it back with
// [Slots.Release]. The error is ctx's cause.
func (s *Slots) Acquire(ctx context.Context, qube string) error {
	turn := s.enqueue(qube)
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
		s.abandon(qube, turn)
		return context.Cause(ctx)
	}
}

// enqueue asks for a slot: the channel has a value once it is granted.
func (s *Slots) enqueue(qube string) chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	turn := make(chan struct{}, 1)
	if len(s.waiting[qube]) == 0 {
		s.order = append(s.order, qube)
	}
	s.waiting[qube] = append(s.waiting[qube], turn)
	s.grant()
	return turn
}

// abandon takes the question back, or gives back what was granted just before.
func (s *Slots) abandon(qube string, turn chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-turn:
		s.release(qube)
	default:
		s.withdraw(qube, turn)
	}
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

// Waiting is how many commands of a qube wait for a slot.
func (s *Slots) Waiting(qube string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.waiting[qube])
}

func (s *Slots) release(qube string) {
	s.total--
	if s.running[qube]--; s.running[qube] == 0 {
		delete(s.running, qube)
	}
	s.grant()
}

// grant gives slots to those that wait until no one waiting may have one. A
// qube that got one goes to the end of the order, one that may not keeps its
// place.
func (s *Slots) grant() {
	for {
		i := slices.IndexFunc(s.order, s.free)
		if i < 0 {
			return
		}
		qube := s.order[i]
		s.order = slices.Delete(s.order, i, i+1)
		s.waiting[qube][0] <- struct{}{} // has room for one, and is granted once
		s.waiting[qube] = s.waiting[qube][1:]
		s.running[qube]++
		s.total++
		if len(s.waiting[qube]) == 0 {
			delete(s.waiting, qube)
		} else {
			s.order = append(s.order, qube)
		}
	}
}

func (s *Slots) free(qube string) bool {
	mine := s.running[qube]
	if n, ok := s.bounds[qube]; ok && mine >= n {
		return false
	}
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
