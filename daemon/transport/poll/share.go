package poll

import (
	"context"
	"sync"
	"time"
)

// Share is what polling may ask of dom0 for all qubes together: each call is
// some processes there, and a qube with an agent must not wait for them.
type Share struct {
	looks, calls chan struct{} // under way
	apart        time.Duration

	mu   sync.Mutex
	next time.Time // before it no look begins
}

// NewShare allows n looks at once, of which each begins so long after the one
// before, and n other calls; those that carry a large part are not counted.
func NewShare(n int, apart time.Duration) *Share {
	return &Share{looks: make(chan struct{}, n), calls: make(chan struct{}, n), apart: apart}
}

// turn is when a look may begin: qubes come in the order in which they ask.
func (s *Share) turn(now time.Time) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := now
	if s.next.After(at) {
		at = s.next
	}
	s.next = at.Add(s.apart)
	return at
}

// take waits for the turn of a look of c, and for room among the others. done
// gives the room back.
func (s *Share) take(ctx context.Context, c *conn) (done func(), err error) {
	timer := time.NewTimer(time.Until(s.turn(time.Now())))
	defer timer.Stop()
	select {
	case <-timer.C:
		return enter(ctx, c, s.looks)
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.life.Done():
		return nil, c.Err()
	}
}

// enter waits for room.
func enter(ctx context.Context, c *conn, room chan struct{}) (done func(), err error) {
	select {
	case room <- struct{}{}:
		return func() { <-room }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.life.Done():
		return nil, c.Err()
	}
}
