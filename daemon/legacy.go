package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

	bareAfter   = 2 * time.Second        // a script without a token is told of
	legacyLook  = bareAfter              // longest question for names, to see those
	settleAgain = 100 * time.Millisecond // first pause until a script is looked at again, doubling
	settleMax   = 3 * time.Second
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

// takeOld decides about a name whose header is a token; denial is why nothing of
// the qube is taken now, or nil.
func (q *qube) takeOld(ctx context.Context, conn transport.Conn, id string, token []byte, held keys.Held, denial *queue.Denial) (useful bool, err error) {
	limits, bad := q.limits()
	key, err := tokenKey(id, token, held)
	switch {
	case errors.Is(err, queue.ErrLegacyShort):
		q.bare.saw(id) // its client may be about to write the rest
		return false, nil
	case err != nil && denial == nil:
		q.unsigned(ctx, limits.SuspendAfter)
		denial = &queue.Denial{Reason: queue.BadMAC}
		fallthrough
	case err != nil:
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, denial)
	}
	if err := q.x.adoptHeld(ctx, q.name, held); err != nil {
		return false, q.leaveOld(id, err)
	}
	used, d := q.usedIDs(key.Fingerprint(), held)
	switch {
	case d != nil:
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, d)
	case used.Has(id):
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, &queue.Denial{Reason: queue.Replayed})
	case denial != nil:
		return false, q.refuseOld(ctx, conn, id, token, used, denial)
	case used.Len() >= burn.Max:
		return false, q.refuse(ctx, conn, id, token, queue.Key{}, &queue.Denial{Reason: queue.Limit, Detail: burn.ErrFull.Error()})
	}
	q.rate.good()
	over := q.tooFast(limits.Requests)
	if over == nil {
		over = q.tooLoud()
	}
	if over == nil {
		over = bad
	}
	if over != nil {
		return false, q.refuseOld(ctx, conn, id, token, used, over)
	}
	r, d, err := q.claimOld(ctx, id, token, key, held, limits.MaxTimeout)
	switch {
	case d != nil:
		return false, q.refuseOld(ctx, conn, id, token, used, d)
	case errors.Is(err, errPaused), errors.Is(err, errClaimed):
		return false, nil
	case err != nil:
		return false, q.leaveOld(id, err)
	}
	q.x.begin(r)
	return true, nil
}

// refuseOld refuses a good token: told that it did not run, it must not run
// later.
func (q *qube) refuseOld(ctx context.Context, conn transport.Conn, id string, token []byte, used *burn.List, d *queue.Denial) error {
	if err := used.AddRefused(id); err != nil {
		return q.leaveOld(id, err)
	}
	return q.refuse(ctx, conn, id, token, queue.Key{}, d)
}

// leaveOld leaves a good token where it is, unanswered, while dom0 cannot write,
// and does not look at it again at once.
func (q *qube) leaveOld(id string, err error) error {
	if q.told.again() {
		q.x.warn("cannot take a request", "qube", q.name, "id", id, "error", err)
	}
	q.skipFor(id)
	return nil
}

func (q *qube) claimOld(ctx context.Context, id string, token []byte, key queue.Key, held keys.Held, maxTimeout int64) (*request, *queue.Denial, error) {
	now := q.x.now().Unix()
	req := queue.Request{Kind: queue.KindScript, ID: id, Qube: q.name, Issued: now, Expires: now + legacyStart,
		Timeout: min(legacyTimeout, maxTimeout)}
	return q.claimIt(ctx, id, token, req, key, held, nil)
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
// record tells of an id that it would have to hold. Only the qube's loop opens
// one.
func (q *qube) usedIDs(fingerprint string, held keys.Held) (*burn.List, *queue.Denial) {
	q.mu.Lock()
	opened := q.used[fingerprint]
	q.mu.Unlock()
	if opened != nil {
		return opened, nil
	}
	dir, atLeast := q.x.o.Root.Legacy(), q.x.book.Legacy(q.name, fingerprint)
	var err error
	if atLeast == 0 && !held.Meta.Legacy && held.Meta.Used != burn.Name(fingerprint) {
		err = burn.Create(dir, q.name, fingerprint)
	}
	var l *burn.List
	if err == nil {
		l, err = burn.Open(dir, q.name, fingerprint, atLeast)
	}
	if err == nil {
		err = q.noteUsed(fingerprint)
	}
	q.x.complain(healthBurn+q.name, "cannot take version-1 requests of "+q.name, err)
	if errors.Is(err, burn.ErrLost) {
		return nil, &queue.Denial{Reason: queue.BurnLost}
	}
	if err != nil {
		return nil, notReady(err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used[fingerprint] = l
	return l, nil
}

// noteUsed writes down beside the key that it has a list: should the audit log
// and the list be gone together, the key still tells.
func (q *qube) noteUsed(fingerprint string) error {
	unlock, err := q.x.keys.Lock(q.x.accepting)
	if err != nil {
		return err
	}
	defer unlock()
	held, err := q.x.keys.Get(q.name)
	if err != nil || held.Current.Fingerprint() != fingerprint || held.Meta.Used == burn.Name(fingerprint) {
		return err
	}
	held.Meta.Used = burn.Name(fingerprint)
	return q.x.keys.PutMeta(q.name, held.Meta)
}

// burnID takes the id of a claimed version-1 request off those that can be used.
// An error other than a lost or full list says that it is not on the disk: then
// nothing may be run, and nothing said.
func (r *request) burnID() error {
	if r.claim.Version != 1 || r.burnt {
		return nil
	}
	q := r.q
	q.mu.Lock()
	l := q.used[r.claim.Key]
	q.mu.Unlock()
	if l == nil {
		return burn.ErrLost
	}
	var last error
	err := q.x.persist(q.x.lasting, "keep a used version-1 id", func() error {
		last = l.Add(r.claim.ID)
		if errors.Is(last, burn.ErrLost) || errors.Is(last, burn.ErrFull) {
			return nil // trying again does not help
		}
		return last
	})
	return errors.Join(err, last)
}

// burnAgain takes the ids of claims that a crash may have left unburnt. Where
// that cannot be, but the list is there, the daemon must not go on: it would
// answer a request whose token is still good.
func (x *Executor) burnAgain() error {
	type owner struct{ qube, key string }
	lists := map[owner]*burn.List{} // each is read once, however many claims are open
	for _, open := range x.book.All() {
		c := open.Claim
		if c.Version != 1 {
			continue
		}
		var err error
		l := lists[owner{c.Qube, c.Key}]
		if l == nil {
			l, err = burn.Open(x.o.Root.Legacy(), c.Qube, c.Key, 0)
		}
		if err == nil {
			lists[owner{c.Qube, c.Key}] = l
			err = l.Add(c.ID)
		}
		if errors.Is(err, burn.ErrLost) { // it is found too short, and its qube refused
			x.warn("cannot keep a used version-1 id", "qube", c.Qube, "id", c.ID, "error", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("cannot keep the used version-1 id %s of %s: %w", c.ID, c.Qube, err)
		}
	}
	return nil
}

// fetchOld brings a version-1 script into the spool once it is settled. One that
// is not there yet is awaited until the request expires.
func (r *request) fetchOld(ctx context.Context) error {
	for pause := settleAgain; ; pause = min(2*pause, settleMax) {
		err := r.settleOld(ctx)
		switch {
		case errors.Is(err, transport.ErrUnsettled):
			if !sleep(ctx, pause, nil) {
				return context.Cause(ctx)
			}
			continue
		case errors.Is(err, queue.ErrTooLarge):
			return &queue.Denial{Reason: queue.Limit, Detail: "the script is too large", Authentic: true}
		}
		return err
	}
}

// settleOld tries once. One script of a qube is in memory at a time, however many
// of its requests wait.
func (r *request) settleOld(ctx context.Context) error {
	select {
	case r.q.settling <- struct{}{}:
		defer func() { <-r.q.settling }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	var script []byte
	limits, _ := r.q.limits()
	err := r.q.withConn(ctx, r.claim.UUID, func(c transport.Conn) (err error) {
		script, err = c.Settled(ctx, r.header.ID, limits.MaxScript)
		return err
	})
	if err != nil {
		return err
	}
	return r.entry.Script(queue.SumOf(script), func(w io.Writer) error {
		_, err := w.Write(script)
		return err
	})
}
