package daemon

import (
	"sync"
	"time"
)

// tally counts what is under way. Unlike a sync.WaitGroup it may be added to
// while somebody waits for it to come to nothing.
type tally struct {
	mu   sync.Mutex
	n    int
	none chan struct{} // closed when n comes to nothing; nil while it is
}

func (t *tally) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n++; t.n == 1 {
		t.none = make(chan struct{})
	}
}

func (t *tally) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.n--; t.n == 0 {
		close(t.none)
		t.none = nil
	}
}

// wait waits until nothing is under way, at most for d.
func (t *tally) wait(d time.Duration) {
	t.mu.Lock()
	none := t.none
	t.mu.Unlock()
	if none == nil {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-none:
	case <-timer.C:
	}
}

// farewell gives connected qubes a moment to take their last results.
func (x *Executor) farewell() {
	until := time.Now().Add(x.o.Times.Farewell)
	for time.Now().Before(until) && x.delivering() {
		time.Sleep(10 * time.Millisecond) // bounded by Farewell; only at the very end
	}
}

// delivering reports whether a connected qube still waits for a result.
func (x *Executor) delivering() bool {
	for _, q := range x.all() {
		q.mu.Lock()
		busy := q.conn != nil && q.conn.Err() == nil && len(q.active) > 0
		q.mu.Unlock()
		if busy {
			return true
		}
	}
	return false
}
