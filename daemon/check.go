package daemon

import (
	"context"
	"errors"
	"fmt"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/queue"
)

// errCounted says that a claim changes files of the key, for it is for so many
// commands or new, and so needs the keys' lock.
var errCounted = errors.New("the key is for a count")

// lastCheck is what is asked once more about a request while its claim is
// written, under the log's lock.
type lastCheck struct {
	q       *qube
	id      string
	req     queue.Request
	key     queue.Key
	counts  bool          // against what the key is for
	refused *queue.Denial // why there is no claim
}

// claim writes the records, with the keys' lock held if locked, which comes
// before the log's.
func (c *lastCheck) claim(ctx context.Context, records []audit.Record, locked bool) (written []audit.Record, head string, err error) {
	x := c.q.x
	if locked {
		unlock, err := x.keys.Lock(ctx)
		if err != nil {
			return nil, "", err
		}
		defer unlock()
	}
	return x.claimUnderLock(ctx, records, func() (promote bool, err error) { return c.passes(locked) })
}

// passes reports whether a claim may be written now, and whether that makes a
// new key the only one. An error says why not.
func (c *lastCheck) passes(locked bool) (promote bool, err error) {
	if c.q.x.paused() {
		return false, errPaused
	}
	promote, c.refused = c.q.stillGood(c.id, c.req, c.key)
	if c.refused != nil {
		return false, c.refused
	}
	if promote && !locked {
		return false, errCounted // it was made the new key since the header was read
	}
	if c.q.x.book.Lookup(c.q.name, c.id) != claim.Unknown {
		return false, errClaimed
	}
	if c.counts {
		if err := c.spend(locked); err != nil {
			return false, err
		}
	}
	return promote, nil
}

// spend takes one command off an authorisation for so many, right before the
// claim is written: a crash may lose one, never give one more. Whoever limits
// the key holds the keys' lock; a claim that is written before the limit is,
// does not count against it.
func (c *lastCheck) spend(locked bool) error {
	held, err := c.q.x.keys.Get(c.q.name)
	switch {
	case err != nil:
		c.refused = notReady(err)
	case held.Meta.Count == 0:
		return nil
	case !locked:
		return errCounted
	case held.Meta.Left() == 0:
		c.refused = &queue.Denial{Reason: queue.GrantEnded, Detail: fmt.Sprintf("%d commands", held.Meta.Count)}
	default:
		held.Meta.Spent++
		if err = c.q.x.keys.PutMeta(c.q.name, held.Meta); err == nil {
			return nil
		}
		c.refused = notReady(err)
	}
	return c.refused
}

// stillGood looks at the key and the floor as they are under the lock. promote
// is set at the first use of a new key. Nothing here may wait: others write to
// the log, too.
func (q *qube) stillGood(id string, req queue.Request, key queue.Key) (promote bool, d *queue.Denial) {
	held, d := q.holdingOf(q.knownUUID)
	if d != nil {
		return false, d
	}
	switch {
	case key.Equal(held.Current):
	case !held.Next.IsZero() && key.Equal(held.Next):
		promote = true
	default:
		return false, &queue.Denial{Reason: queue.BadMAC}
	}
	if req.Issued < q.floor(key.Fingerprint()) {
		return false, &queue.Denial{Reason: queue.Stale, Detail: dom0Clock(q.x.now())}
	}
	return promote, nil
}
