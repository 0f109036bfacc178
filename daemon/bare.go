package daemon

import (
	"context"
	"errors"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// bare are names of version 1 without a whole token: scripts whose client may be
// about to write it. They are left alone, and told of once.
type bare struct {
	since map[string]time.Time // when each was first seen
	told  map[string]bool
	short map[string]bool // with a token that is too short, since the last look for them
	last  time.Time       // when that was
}

// saw notes a token that is too short.
func (b *bare) saw(id string) {
	if b.short == nil {
		b.short = map[string]bool{}
	}
	if len(b.short) < queue.MaxNames {
		b.short[id] = true
	}
}

// bareEvery is how often they are looked for: an agent lists its whole queue.
const bareEvery = bareAfter / 2

// lookForBare tells of scripts that are without a token for a while.
func (q *qube) lookForBare(ctx context.Context, conn transport.Conn, legacy bool) error {
	switch {
	case !legacy:
		q.bare = bare{}
		return nil
	case time.Since(q.bare.last) < bareEvery:
		return nil
	}
	ids, err := conn.Bare(ctx)
	var failure *queue.Failure
	if errors.As(err, &failure) {
		return nil // its files, not the connection
	}
	if err != nil {
		return err
	}
	for id := range q.bare.short {
		ids = append(ids, id)
	}
	before, now := q.bare, time.Now()
	q.bare = bare{since: map[string]time.Time{}, told: map[string]bool{}, last: now}
	for _, id := range ids {
		since, seen := before.since[id]
		if !seen {
			since = now
		}
		q.bare.since[id], q.bare.told[id] = since, before.told[id]
		if before.told[id] || now.Sub(since) < bareAfter {
			continue
		}
		q.bare.told[id] = true
		q.refused.count(q, audit.Record{Event: audit.Refused, Qube: q.name, ID: id, Reason: string(queue.NoToken), Version: 1, Detail: "left alone"})
	}
	return nil
}
