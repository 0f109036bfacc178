package qubes

import (
	"context"
	"slices"
	"sync"
	"time"
)

// cache holds the last answer of qvm-ls and the call that is under way, and
// what events say about them.
type cache struct {
	mu     sync.Mutex
	last   *look
	now    *look
	events heard
}

// look is one call of qvm-ls. What is in it may be read once done is closed.
type look struct {
	began time.Time
	done  chan struct{}
	list  []Qube
	err   error
}

// need is what an answer must be like for somebody who asks now.
type need struct {
	vm      string    // it is about this qube, "" for all
	oldest  time.Time // it began then or later, or
	vouched bool      // events would have told of a change,
	changed time.Time // and in any case not before this, the last one
}

func (n need) met(l *look) bool {
	return !l.began.Before(n.changed) && (!l.began.Before(n.oldest) || n.vouched && l.settled(n.vm))
}

// settled reports whether the qube, or each, is in a state of which an event
// tells the end. A start or a shutdown that comes to nothing may end without.
func (l *look) settled(vm string) bool {
	return !slices.ContainsFunc(l.list, func(q Qube) bool {
		return (vm == "" || vm == q.Name) && q.State != Running && q.State != Halted && q.State != Paused
	})
}

// Snapshot is [Tools.List], not asked again while an answer is younger than
// maxAge, and asked only once for all who want to know at the same time; the
// age counts from before the tool was asked. While events are followed (see
// [Tools.Follow]), an answer is good until one of them, whatever its age,
// except for who gives a maxAge of 0. An error is not kept. Nothing runs while
// nobody asks.
func (t *Tools) Snapshot(ctx context.Context, maxAge time.Duration) ([]Qube, error) {
	return t.look(ctx, "", maxAge)
}

// look is Snapshot for who wants to know about the qube vm, or all.
func (t *Tools) look(ctx context.Context, vm string, maxAge time.Duration) ([]Qube, error) {
	n := t.cache.need(vm, maxAge)
	for {
		l := t.join(ctx, n)
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-l.done:
		}
		if n.met(l) {
			return t.cache.corrected(l.list), l.err
		}
	}
}

func (c *cache) need(vm string, maxAge time.Duration) need {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := need{vm: vm, oldest: time.Now().Add(-maxAge)}
	if c.events.following && maxAge > 0 {
		n.vouched, n.changed = true, c.events.lastOf(vm)
	}
	return n
}

// join returns the last answer if it is good enough, else the call that is
// under way, which may turn out not to be, else a new call.
func (t *Tools) join(ctx context.Context, n need) *look {
	c := &t.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.last != nil && n.met(c.last) {
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
			c.events.seen(l)
		}
		close(l.done)
	}()
	return l
}

// corrected is a list of its own, in which a qube that was told to shut down
// does not run.
func (c *cache) corrected(list []Qube) []Qube {
	c.mu.Lock()
	defer c.mu.Unlock()
	list = slices.Clone(list)
	for i, q := range list {
		if q.State == Running && time.Now().Before(c.events.leaving[q.Name]) {
			list[i].State = Halting
		}
	}
	return list
}
