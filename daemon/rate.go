package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// rate counts what a qube asks for, and what of it was not signed with its key.
type rate struct {
	mu     sync.Mutex
	tokens float64   // requests it may make at once
	filled time.Time // when tokens was reckoned
	failed int64     // requests in a row that were not signed with its key
}

// take takes one request out of so many a minute, 0 for any number.
func (r *rate) take(now time.Time, perMinute int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if perMinute <= 0 {
		return true // what was taken counts on, for when there is a limit again
	}
	full := float64(perMinute)
	if r.filled.IsZero() {
		r.tokens = full
	} else {
		r.tokens = min(full, r.tokens+full*now.Sub(r.filled).Minutes())
	}
	r.filled = now
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// fail counts one more that was not signed with the qube's key.
func (r *rate) fail() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed++
	return r.failed
}

func (r *rate) good() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = 0
}

const (
	failuresFree = 10                    // in a row that cost nothing
	firstBackOff = 50 * time.Millisecond // after those, doubling
	lastBackOff  = 5 * time.Second
)

// backOff is how long the qube is left alone for what it failed.
func (r *rate) backOff() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	over := r.failed - failuresFree
	if over <= 0 {
		return 0
	}
	return min(firstBackOff<<min(over-1, 10), lastBackOff)
}

// tooFast refuses what is over the qube's requests a minute.
func (q *qube) tooFast(perMinute int64) *queue.Denial {
	if q.rate.take(time.Now(), perMinute) {
		return nil
	}
	return &queue.Denial{Reason: queue.Rate, Detail: fmt.Sprintf("%d requests a minute", perMinute)}
}

// unsigned counts a request that was not signed with the qube's key, and
// suspends the qube after too many of them in a row.
func (q *qube) unsigned(ctx context.Context, suspendAfter int64) {
	n := q.rate.fail()
	if suspendAfter == 0 || n < suspendAfter {
		return
	}
	if err := q.suspend(ctx, n); err != nil {
		q.x.warn("cannot suspend a qube", "qube", q.name, "error", err)
		return
	}
	q.rate.good()
}

func (q *qube) suspend(ctx context.Context, failed int64) error {
	unlock, err := q.x.keys.Lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := q.x.keys.Get(q.name)
	if err != nil || held.Meta.Suspended != 0 {
		return err
	}
	held.Meta.Suspended = q.x.now().Unix()
	if err := q.x.keys.PutMeta(q.name, held.Meta); err != nil {
		return err
	}
	q.x.revokeStale(q.name)
	q.x.warn("a qube is suspended", "qube", q.name, "failures", failed, "until", "qvm-remote-dom0 resume "+q.name)
	q.x.tell(audit.Record{Event: audit.Suspended, Qube: q.name, Way: "daemon",
		Detail: fmt.Sprintf("%d requests in a row were not signed with its key", failed)})
	return nil
}

// spend takes one command off an authorisation for so many. It is called with
// the keys' lock and the log's, right before the claim is written: a crash may
// lose one, never give one more.
func (q *qube) spend() *queue.Denial {
	held, err := q.x.keys.Get(q.name)
	if err != nil {
		return notReady(err)
	}
	if held.Meta.Count == 0 {
		return nil
	}
	if held.Meta.Left() == 0 {
		return &queue.Denial{Reason: queue.GrantEnded, Detail: fmt.Sprintf("%d commands", held.Meta.Count)}
	}
	held.Meta.Spent++
	if err := q.x.keys.PutMeta(q.name, held.Meta); err != nil {
		return notReady(err)
	}
	return nil
}
