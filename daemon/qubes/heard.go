package qubes

import (
	"context"
	"maps"
	"time"
)

// heard is what qubesd's events say about the answers of qvm-ls. The cache's
// lock guards it.
type heard struct {
	following bool
	since     time.Time            // whatever was asked before may have changed unheard
	changed   map[string]time.Time // by qube: its last event, if no answer came since
	leaving   map[string]time.Time // by qube: until when it is taken to shut down
	listeners map[int]func(qube string)
	number    int // of the last listener
}

// maxChanged is how many qubes' events are kept apart, so that a dom0 in which
// nobody asks for years needs no more memory for it.
const maxChanged = 1000

// lastOf is when the qube vm, or any, may have changed last.
func (h *heard) lastOf(vm string) time.Time {
	last := h.since
	for name, at := range h.changed {
		if (vm == "" || vm == name) && at.After(last) {
			last = at
		}
	}
	return last
}

// seen forgets events that came before an answer.
func (h *heard) seen(l *look) {
	maps.DeleteFunc(h.changed, func(_ string, at time.Time) bool { return at.Before(l.began) })
}

// changedNow notes that the qube, or any for "", may have changed.
func (h *heard) changedNow(qube string) {
	if qube == "" || len(h.changed) >= maxChanged {
		h.since, h.changed = time.Now(), nil
		return
	}
	if h.changed == nil {
		h.changed = map[string]time.Time{}
	}
	h.changed[qube] = time.Now()
}

// leave notes whether the qube is on its way down. That is believed for as long
// as a shutdown may take: one that the qube ignores may end without an event.
func (h *heard) leave(qube string, yes bool) {
	maps.DeleteFunc(h.leaving, func(name string, until time.Time) bool { return name == qube || time.Now().After(until) })
	if yes {
		if h.leaving == nil {
			h.leaving = map[string]time.Time{}
		}
		h.leaving[qube] = time.Now().Add(KillAfter)
	}
}

// follow says that from now on no change goes unheard, and unfollow that it may.
func (c *cache) follow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events.following = true
	c.events.changedNow("")
}

func (c *cache) unfollow() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.events.following = false
}

// heard takes in an event about a qube, "" for any, and passes it on.
func (c *cache) heard(qube string, m meaning) {
	c.mu.Lock()
	c.events.changedNow(qube)
	if m != again {
		c.events.leave(qube, m == leaves)
	}
	listeners := maps.Clone(c.events.listeners)
	c.mu.Unlock()
	for _, tell := range listeners {
		tell(qube)
	}
}

// Changes calls changed whenever a qube may be in another state, or look another
// way, with its name, or with "" when that may be any. It does so until ctx
// ends, while somebody follows. changed must not block.
func (t *Tools) Changes(ctx context.Context, changed func(qube string)) {
	c := &t.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.events.listeners == nil {
		c.events.listeners = map[int]func(string){}
	}
	c.events.number++
	number := c.events.number
	c.events.listeners[number] = changed
	context.AfterFunc(ctx, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.events.listeners, number)
	})
}
