package daemon

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"qvmremote/daemon/burn"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// Requests of version 1 (docs/protocol.md §13). Their token is of the id alone
// and good for ever: whoever sees one may swap the script, and only dom0's list
// of used ids keeps it from being used again. So they are taken from a qube that
// an administrator chose, and shown as insecure wherever it appears.

const (
	legacyStart   = 300 // seconds from the first sight of a token to the start
	legacyTimeout = 300 // seconds it may run, where the settings allow as much

	bareAfter   = 2 * time.Second // a script without a token is told of
	legacyLook  = bareAfter       // longest question for names, to see those
	settleAgain = 100 * time.Millisecond
)

// legacy reports whether version 1 is allowed for the qube.
func (q *qube) legacy(held keys.Held) bool { return held.Meta.Legacy || q.x.settings().Legacy }

// legacyOf is legacy for who does not have the keys at hand.
func (x *Executor) legacyOf(name string) bool {
	held, err := x.keys.Get(name)
	return err == nil && x.qubeOf(name).legacy(held)
}

// isToken: a header of version 2 is there as a whole or not at all, and begins
// with its version.
func isToken(header []byte) bool { return !bytes.HasPrefix(header, []byte("qvm-remote/")) }

// signer is the key that signs a refusal: version 1 has none.
func (q *qube) signer(header []byte, held keys.Held) queue.Key {
	if q.legacy(held) && (header == nil || isToken(header)) {
		return queue.Key{}
	}
	return held.Current
}

// takeOld decides about a name whose header is a token.
func (q *qube) takeOld(ctx context.Context, conn transport.Conn, id string, token []byte, held keys.Held) (useful bool, err error) {
	key, err := tokenKey(id, token, held)
	switch {
	case errors.Is(err, queue.ErrLegacyShort):
		q.bare.saw(id) // its client may be about to write the rest
		return false, nil
	case err != nil:
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, &queue.Denial{Reason: queue.BadMAC})
	}
	if adopted := q.x.adoptHeld(ctx, q.name, held); adopted != nil {
		return false, nil // it stays where it is while dom0 cannot write
	}
	used, d := q.usedIDs(key.Fingerprint(), held)
	switch {
	case d != nil:
	case used.Has(id):
		d = &queue.Denial{Reason: queue.Replayed}
	case used.Len() >= burn.Max:
		d = &queue.Denial{Reason: queue.Limit, Detail: burn.ErrFull.Error()}
	default:
		if d = q.tooLoud(); d != nil && used.Add(id) != nil {
			return false, nil // told that it did not run, it must not run later
		}
	}
	if d != nil {
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, d)
	}
	return q.claimOld(ctx, conn, id, token, key, held)
}

func (q *qube) claimOld(ctx context.Context, conn transport.Conn, id string, token []byte, key queue.Key, held keys.Held) (useful bool, err error) {
	now := q.x.now().Unix()
	req := queue.Request{Kind: queue.KindScript, ID: id, Qube: q.name, Issued: now, Expires: now + legacyStart,
		Timeout: min(legacyTimeout, q.x.settings().MaxTimeout)}
	r, d, err := q.claimIt(ctx, id, token, req, key, held, nil)
	switch {
	case d != nil:
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, d)
	case err != nil: // nothing was claimed or said: the next look tries again
		if !errors.Is(err, errPaused) && !errors.Is(err, errClaimed) {
			q.x.warn("cannot take a request", "qube", q.name, "id", id, "error", err)
		}
		return false, nil
	}
	q.x.begin(r)
	return true, nil
}

// tokenKey is the key that a token was made with.
func tokenKey(id string, token []byte, held keys.Held) (queue.Key, error) {
	err := queue.CheckLegacyToken(held.Current, id, token)
	if err == nil || held.Next.IsZero() || queue.CheckLegacyToken(held.Next, id, token) != nil {
		return held.Current, err
	}
	return held.Next, nil
}

// usedIDs is the list of a key, opened at its first use. It is made here only
// for a qube that nobody authorised for version 1 by name, and only where no
// record tells of an id that it would have to hold.
func (q *qube) usedIDs(fingerprint string, held keys.Held) (*burn.List, *queue.Denial) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.used[fingerprint]; l != nil {
		return l, nil
	}
	dir, atLeast := q.x.o.Root.Legacy(), q.x.book.Legacy(q.name, fingerprint)
	if fingerprint == held.Current.Fingerprint() {
		atLeast = max(atLeast, held.Meta.Count)
	}
	var err error
	if atLeast == 0 && !held.Meta.Legacy {
		err = burn.Create(dir, q.name, fingerprint)
	}
	var l *burn.List
	if err == nil {
		l, err = burn.Open(dir, q.name, fingerprint, atLeast)
	}
	q.x.complain(healthBurn+q.name, "cannot take version-1 requests of "+q.name, err)
	if errors.Is(err, burn.ErrLost) {
		return nil, &queue.Denial{Reason: queue.BurnLost}
	}
	if err != nil {
		return nil, notReady(err)
	}
	q.used[fingerprint] = l
	return l, nil
}

// burnID takes the id of a claimed version-1 request off those that can be used.
// It reports false when that is not on the disk: then nothing may be run, and
// nothing said.
func (r *request) burnID() bool {
	if r.claim.Version != 1 || r.burnt {
		return true
	}
	q := r.q
	err := q.x.persist(q.x.lasting, "keep a used version-1 id", func() error {
		q.mu.Lock()
		l := q.used[r.claim.Key]
		q.mu.Unlock()
		if l == nil {
			return burn.ErrLost
		}
		return l.Add(r.claim.ID)
	})
	if err == nil {
		r.countBurnt()
	}
	return err == nil
}

// countBurnt writes down beside the key that there is a list, and about how long
// it is: should the audit log and the list be gone together, the key still tells.
// At each doubling is often enough for that.
func (r *request) countBurnt() {
	q := r.q
	q.mu.Lock()
	n := q.used[r.claim.Key].Len()
	q.mu.Unlock()
	if n&(n-1) != 0 {
		return
	}
	unlock, err := q.x.keys.Lock(q.x.lasting)
	if err == nil {
		defer unlock()
		var held keys.Held
		held, err = q.x.keys.Get(q.name)
		if err == nil && held.HasMeta && held.Current.Fingerprint() == r.claim.Key && held.Meta.Count < n {
			held.Meta.Count = n
			err = q.x.keys.PutMeta(q.name, held.Meta)
		}
	}
	if err != nil && !errors.Is(err, keys.ErrNoKey) {
		q.x.warn("cannot count the used version-1 ids beside the key", "qube", q.name, "error", err)
	}
}

// burnAgain takes the ids of claims that a crash may have left unburnt.
func (x *Executor) burnAgain() {
	for _, open := range x.book.All() {
		c := open.Claim
		if c.Version != 1 {
			continue
		}
		l, err := burn.Open(x.o.Root.Legacy(), c.Qube, c.Key, 0)
		if err == nil {
			err = l.Add(c.ID)
		}
		if err != nil { // the list is too short then, and its qube is refused
			x.warn("cannot keep a used version-1 id", "qube", c.Qube, "id", c.ID, "error", err)
		}
	}
}

// fetchOld brings a version-1 script into the spool once it is settled. One that
// is not there yet is awaited until the request expires.
func (r *request) fetchOld(ctx context.Context) error {
	for {
		var script []byte
		err := r.q.withConn(ctx, r.claim.UUID, func(c transport.Conn) (err error) {
			script, err = c.Settled(ctx, r.header.ID, r.q.x.settings().MaxScript)
			return err
		})
		switch {
		case errors.Is(err, transport.ErrUnsettled):
			if !sleep(ctx, settleAgain, nil) {
				return context.Cause(ctx)
			}
			continue
		case errors.Is(err, queue.ErrTooLarge):
			return &queue.Denial{Reason: queue.Limit, Detail: "the script is too large", Authentic: true}
		case err != nil:
			return err
		}
		return r.entry.Script(queue.SumOf(script), func(w io.Writer) error {
			_, err := w.Write(script)
			return err
		})
	}
}
