package qubes

import (
	"context"
	"slices"
	"sync"
	"time"
)

// cache holds the last answer of qvm-ls and the call that is under way.
type cache struct {
	mu   sync.Mutex
	last *look
	now  *look
}

// look is one call of qvm-ls. What is in it may be read once done is closed.
type look struct {
	began time.Time
	done  chan struct{}
	list  []Qube
	err   error
}

// Snapshot is [Tools.List], not asked again while an answer is younger than
// maxAge, and asked only once for all who want to know at the same time; the
// age counts from before the tool was asked. An error is not kept. Nothing
// runs while nobody asks.
func (t *Tools) Snapshot(ctx context.Context, maxAge time.Duration) ([]Qube, error) {
	oldest := time.Now().Add(-maxAge)
	for {
		l := t.join(ctx, oldest)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.done:
		}
		if !l.began.Before(oldest) {
			return slices.Clone(l.list), l.err
		}
	}
}

// join returns the last answer if it is young enough, else the call that is
// under way, which may turn out to be too old, else a new call.
func (t *Tools) join(ctx context.Context, oldest time.Time) *look {
	c := &t.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && !c.last.began.Before(oldest) {
		return c.last
	}
	if c.now != nil {
		return c.now
	}
	l := &look{began: time.Now(), done: make(chan struct{})}
	c.now = l
	// Others may join: the call outlives the one who asked first. Its own
	// deadline ends it.
	go func() {
		l.list, l.err = t.List(context.WithoutCancel(ctx))
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now = nil
		if l.err == nil {
			c.last = l
		}
		close(l.done)
	}()
	return l
}
