package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

const (
	maxSkipped = 1000   // refused names remembered a qube
	maxBurnt   = 10_000 // headers remembered a qube; beyond it none counts any more until a restart
)

// refuse answers what is no claimed request and was not made one, signed with
// key where there is one. The answer goes first, the record must not delay it.
// The error is the connection's.
func (q *qube) refuse(ctx context.Context, conn transport.Conn, id string, header []byte, key queue.Key, d *queue.Denial) error {
	file := d.File()
	res := queue.Result{ID: id, Qube: q.name, Request: queue.DigestOf(header), State: queue.StateDenied,
		Reason: d.Reason, Exit: queue.NoExit, Err: queue.SumOf(file)}
	m := &queue.Deny{ID: id, Denied: file, Log: "[" + q.x.now().Format("2006-01-02T15:04:05") + "] id=" + id + " denied=" + string(d.Reason)}
	if !key.IsZero() {
		m.Auth = res.Sign(key.ResultKey())
	}
	told := q.refused.note(q) // before the answer: a client that has it may find it counted
	err := conn.Deny(ctx, m)
	event := audit.Refused
	if d.Reason == queue.Replayed {
		event = audit.Replayed
	}
	if told {
		q.x.tell(audit.Record{Event: event, Qube: q.name, ID: id, Reason: string(d.Reason), Detail: d.Detail, Request: digestText(header)})
	}
	var failure *queue.Failure
	switch {
	case err == nil:
		q.skipFor(id)
		return nil
	case errors.As(err, &failure):
		q.skipFor(id) // it cannot take the denial; ask again in a while
		if told {
			q.x.info("the qube did not take a denial", "qube", q.name, "id", id, "error", failure.Error())
		}
		return nil
	default:
		return err
	}
}

func digestText(header []byte) string {
	if len(header) == 0 {
		return ""
	}
	return queue.DigestOf(header).String()
}

func (q *qube) skipFor(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	if len(q.skip) >= maxSkipped {
		for name, until := range q.skip {
			if now.After(until) {
				delete(q.skip, name)
			}
		}
	}
	if len(q.skip) < maxSkipped {
		q.skip[id] = now.Add(q.x.o.Times.Skip)
	}
}

func (q *qube) skipped(id string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	until, ok := q.skip[id]
	if ok && time.Now().After(until) {
		delete(q.skip, id)
		return false
	}
	return ok
}

// forgetSkipped is for a new connection: refusals that the last one was to bring
// may not have reached the qube.
func (q *qube) forgetSkipped() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.skip)
}

// burn remembers a header whose MAC was good but which dom0 did not claim: its
// client was told that it did not run, so it must not run later. Beyond so many
// it remembers the latest issue time of those it forgets instead.
func (q *qube) burn(header []byte, issued int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.burnt) >= maxBurnt {
		for _, issued := range q.burnt {
			q.ashes = max(q.ashes, issued+1)
		}
		clear(q.burnt)
	}
	q.burnt[queue.DigestOf(header)] = issued
}

func (q *qube) isBurnt(header []byte, issued int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, burnt := q.burnt[queue.DigestOf(header)]
	return burnt || issued < q.ashes
}

// maxTold is how many lines a minute a qube can cause in the journal by not
// taking what dom0 brings.
const maxTold = 20

// told counts them.
type told struct {
	mu    sync.Mutex
	since time.Time
	n     int
}

// again reports whether one more may be told.
func (t *told) again() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if now := time.Now(); now.Sub(t.since) >= time.Minute {
		t.since, t.n = now, 0
	}
	t.n++
	return t.n <= maxTold
}

// refusals records what an unauthenticated qube makes dom0 refuse, without
// letting it fill the log: single records up to a rate, then a count.
type refusals struct {
	mu    sync.Mutex
	since time.Time // the minute's begin
	n     int64     // in this minute
	more  int64     // of those, counted and not recorded yet
	total int64     // since the executor started
}

// count records r or only counts it.
func (f *refusals) count(q *qube, r audit.Record) {
	if f.note(q) {
		q.x.tell(r)
	}
}

// note counts one more and reports whether it is to be recorded singly: whoever
// tells more about it elsewhere keeps to the same rate.
func (f *refusals) note(q *qube) (single bool) {
	limit := q.x.settings().Refusals
	f.mu.Lock()
	if now := time.Now(); now.Sub(f.since) >= time.Minute {
		f.since, f.n = now, 0
	}
	f.n++
	f.total++
	single = f.n <= limit
	if !single {
		if f.more++; f.more == 1 {
			time.AfterFunc(time.Until(f.since.Add(time.Minute)), func() { f.flush(q) })
		}
	}
	f.mu.Unlock()
	q.x.status.touch()
	return single
}

// flush writes the count of what was not recorded singly; also when the daemon
// stops before the minute is over.
func (f *refusals) flush(q *qube) {
	f.mu.Lock()
	more := f.more
	f.more = 0
	f.mu.Unlock()
	if more > 0 {
		q.x.tell(audit.Record{Event: audit.RefusedCount, Qube: q.name, Count: more,
			Detail: "refused within a minute, beyond those recorded singly"})
	}
}
