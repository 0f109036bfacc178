package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/spool"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// serve asks a connected qube for names and deals with them, until the
// connection ends, or ctx, or asking: the last one leaves what was begun alone.
func (q *qube) serve(ctx, asking context.Context, conn transport.Conn) error {
	var haste haste
	for seen := int64(0); ; {
		wait := q.x.o.Times.Wait
		legacy := q.x.legacyOf(q.name)
		if legacy {
			wait = min(wait, legacyLook)
		}
		switch paused := q.x.paused(); {
		case paused:
			wait = min(wait, q.x.o.Times.Paused)
		case q.left:
			seen, q.left = 0, false // ask for what was left there
		}
		if q.reading {
			wait, q.reading = min(wait, reread), false
		}
		look := q.looks.Add(1)
		if q.unsure {
			seen, q.unsure = 0, false // ask for the same names once more
		}
		names, err := conn.Wait(asking, seen, wait)
		if err != nil {
			return err
		}
		seen = names.Number
		if err := q.lookForBare(asking, conn, legacy); err != nil {
			return err
		}
		began := time.Now()
		q.idle = 0
		useful, err := q.look(ctx, conn, names, look)
		if err != nil {
			return err
		}
		pause := time.Duration(q.idle)*time.Second/maxIdle - time.Since(began)
		pause = max(pause, q.rate.backOff())
		if haste.note(time.Now(), useful) {
			pause = max(pause, q.x.o.Times.Calm)
		}
		if pause > 0 && !sleep(ctx, pause, nil) {
			return context.Cause(ctx)
		}
	}
}

// reread is the longest question for names after one was seen whose request was
// still being read: it is looked at again once that is over.
const reread = time.Second

// haste counts the answers of a qube that bring nothing.
type haste struct {
	since time.Time
	count int
}

const (
	maxHaste = 20   // useless answers a second
	maxIdle  = 1000 // questions a second about names that bring nothing
)

// note reports whether the qube must be asked more slowly.
func (h *haste) note(now time.Time, useful bool) bool {
	if useful || now.Sub(h.since) >= time.Second {
		h.since, h.count = now, 0
	}
	h.count++
	return h.count > maxHaste
}

// look deals with one answer's names, cancels first. The error is the
// connection's.
func (q *qube) look(ctx context.Context, conn transport.Conn, names queue.Names, look int64) (useful bool, err error) {
	held, denial := q.holding()
	q.admit(conn, held)
	q.forgetAnswered(look)
	for _, id := range names.Cancels {
		q.idle++
		took, err := q.takeBack(ctx, conn, id, held, denial)
		if err != nil {
			return useful, err
		}
		useful = q.brought(took) || useful
	}
	for _, id := range names.IDs {
		took, err := q.take(ctx, conn, id, look, held, denial)
		if err != nil {
			return useful, err
		}
		useful = q.brought(took) || useful
	}
	return useful, nil
}

// brought takes a name that brought something off those that did not.
func (q *qube) brought(took bool) bool {
	if took {
		q.idle--
	}
	return took
}

// take looks at one name: it claims the request, refuses it, or leaves it.
func (q *qube) take(ctx context.Context, conn transport.Conn, id string, look int64, held keys.Held, denial *queue.Denial) (useful bool, err error) {
	if status := q.x.book.Lookup(q.name, id); status != claim.Unknown {
		return false, q.claimed(ctx, conn, id, look, held, status)
	}
	if q.skipped(id) || q.crowded() || q.paused() {
		return false, nil
	}
	q.idle++
	header, err := conn.ReadHeader(ctx, id, queue.PartHeader)
	var failure *queue.Failure
	switch {
	case errors.Is(err, queue.ErrTooLarge):
		return false, q.refuse(ctx, conn, id, nil, held.Current, &queue.Denial{Reason: queue.Malformed})
	case errors.As(err, &failure) && failure.Code == queue.CodeGone:
		return false, nil // taken back in the meantime
	case errors.As(err, &failure):
		return false, q.refuse(ctx, conn, id, nil, held.Current, &queue.Denial{Reason: queue.Malformed})
	case err != nil:
		return false, err
	case q.legacy(held) && isToken(header):
		return q.takeOld(ctx, conn, id, header, held, denial)
	case denial != nil:
		if req, _, d := (queue.Check{}).Request(header, held.Current, held.Next); d == nil || d.Authentic {
			q.burn(header, req.Issued)
		}
		return false, q.refuse(ctx, conn, id, header, held.Current, denial)
	}
	return q.decide(ctx, conn, id, header, held)
}

// claimed deals with a name whose id is claimed: the original, still lying
// there, a copy put beside it, or the original of a qube that came back as it
// was before the claim.
func (q *qube) claimed(ctx context.Context, conn transport.Conn, id string, look int64, held keys.Held, status claim.Status) error {
	q.mu.Lock()
	removed, r := q.answered[id], q.active[id]
	q.mu.Unlock()
	if status == claim.Final {
		q.unsure = true // its delivery removes it; what comes after that is refused by its name
		return nil
	}
	if r != nil && removed == 0 {
		told, at := r.courier.removedBy()
		switch {
		case told == nil:
			q.reading = true // or dom0 does not know yet that the original was removed, and this is a copy
			return nil
		case told != conn && status == claim.Open:
			q.idle++
			r.courier.again()
			return nil
		case told != conn:
			return nil // it was given up a moment ago
		}
		removed = at
	}
	if look <= removed {
		q.unsure = true // asked for before it was removed, answered perhaps after: another look tells
		return nil
	}
	return q.replayed(ctx, conn, id, held, status)
}

// replayed refuses a copy of a claimed request. Of one that was answered the
// header is read, so that the refusal names it and a client that lost the
// answer can believe the refusal; while the answer is still to come no client
// may believe another.
func (q *qube) replayed(ctx context.Context, conn transport.Conn, id string, held keys.Held, status claim.Status) error {
	q.idle++
	var header []byte
	if status == claim.Delivered {
		var err error
		var failure *queue.Failure
		header, err = conn.ReadHeader(ctx, id, queue.PartHeader)
		switch {
		case errors.As(err, &failure), errors.Is(err, queue.ErrTooLarge):
			header = nil
		case err != nil:
			return err
		}
	}
	return q.refuse(ctx, conn, id, header, q.signer(header, held), &queue.Denial{Reason: queue.Replayed})
}

// decide checks a header that nothing is known of yet.
func (q *qube) decide(ctx context.Context, conn transport.Conn, id string, header []byte, held keys.Held) (useful bool, err error) {
	adopted := q.x.adoptHeld(ctx, q.name, held)
	limits, denial := q.limits()
	check := queue.Check{ID: id, Qube: q.name, Now: q.x.now(), MaxTimeout: limits.MaxTimeout, MaxBody: limits.MaxScript, MaxStdin: limits.MaxStdin, Floor: q.floor}
	req, key, d := check.Request(header, held.Current, held.Next)
	switch {
	case d != nil && !d.Authentic:
		if d.Reason == queue.BadMAC { // rubbish is no try to get in
			q.unsigned(ctx, limits.SuspendAfter)
		}
		return false, q.refuse(ctx, conn, id, header, held.Current, d)
	case adopted != nil:
		q.burn(header, req.Issued)
		return false, q.refuse(ctx, conn, id, header, key, notReady(adopted))
	case d != nil && d.Reason == queue.Stale:
		return false, q.refuse(ctx, conn, id, header, key, d)
	case q.isBurnt(header, req.Issued):
		return false, q.refuse(ctx, conn, id, header, key, &queue.Denial{Reason: queue.Replayed})
	}
	q.rate.good()
	over := q.tooFast(limits.Requests)
	if over == nil {
		over = q.tooLoud()
	}
	if over != nil {
		q.burn(header, req.Issued)
		return false, q.refuse(ctx, conn, id, header, key, over)
	}
	if d == nil && req.Kind == queue.KindScript {
		d = denial
	}
	prepared := q.prepare(req, d)
	r, d2, err := q.claimIt(ctx, id, header, req, key, held, d)
	if err != nil || d2 != nil || r.ready != nil { // r is denied if it is ready
		go prepared.discard(q.x)
	} else {
		r.prepared = prepared
	}
	switch {
	case errors.Is(err, errPaused):
		return false, nil
	case errors.Is(err, errClaimed):
		return false, nil // by this very process, a moment ago
	case d2 != nil:
		q.burn(header, req.Issued)
		return false, q.refuse(ctx, conn, id, header, key, d2)
	case err != nil:
		q.x.warn("cannot take a request", "qube", q.name, "id", id, "error", err)
		q.burn(header, req.Issued)
		return false, q.refuse(ctx, conn, id, header, key, notReady(err))
	}
	q.x.begin(r)
	return true, nil
}

// notReady denies because dom0 itself cannot: the qube learns the kind of
// trouble, not dom0's paths.
func notReady(err error) *queue.Denial {
	detail := "dom0's log says why"
	switch {
	case errors.Is(err, spool.ErrFull):
		detail = "its spool is full"
	case errors.Is(err, audit.ErrReserve):
		detail = "its disk is too full to keep the audit trail"
	case isDiskTrouble(err):
		detail = "it cannot write its audit trail or spool"
	}
	return &queue.Denial{Reason: queue.NotReady, Detail: detail}
}

// floor is what the book says; a key it never saw accepts nothing.
func (q *qube) floor(fingerprint string) int64 {
	floor, known := q.x.book.Floor(q.name, fingerprint)
	if !known {
		return 1<<63 - 1
	}
	return floor
}

var (
	errClaimed = errors.New("claimed already")
	errPaused  = errors.New("nothing new is taken")
)

// paused reports whether what the qube has must be left there for now.
func (q *qube) paused() bool {
	paused := q.x.paused()
	q.left = q.left || paused
	return paused
}

// claimIt makes the claim: the point of no return. Everything that could have
// changed since the header was read is checked once more under the log's lock.
// A denial returned here means that nothing was claimed.
func (q *qube) claimIt(ctx context.Context, id string, header []byte, req queue.Request, key queue.Key, held keys.Held, d *queue.Denial) (*request, *queue.Denial, error) {
	x := q.x
	if limits, _ := q.limits(); d == nil && int64(x.book.Pending(q.name)) >= limits.MaxPending {
		d = &queue.Denial{Reason: queue.Limit, Authentic: true, Detail: fmt.Sprintf("%d requests of this qube are open", limits.MaxPending)}
	}
	need := int64(len(header))
	if d == nil {
		need += req.Body.Size + req.Stdin.Size
		if isToken(header) {
			need += x.settings().MaxScript // it does not say
		}
	}
	number := x.number.Add(1)
	entry, err := x.spool.Create(number, q.name, need, key.Fingerprint(), key.ResultKey())
	if err != nil {
		return nil, nil, err
	}
	record := claimRecord(q, id, number, header, req, key)
	records := []audit.Record{record}
	if d != nil {
		records = append(records, audit.Record{Event: audit.Final, Qube: q.name, ID: id, Number: number, Key: record.Key,
			State: audit.Denied, Reason: string(d.Reason), Detail: d.Detail})
	}
	check := &lastCheck{q: q, id: id, req: req, key: key, counts: d == nil && req.Kind == queue.KindScript}
	// A new key's first use makes it the only one.
	written, head, err := check.claim(ctx, records, key.Equal(held.Next) || check.counts && held.Meta.Count > 0)
	if errors.Is(err, errCounted) { // it became so after held was read
		written, head, err = check.claim(ctx, records, true)
	}
	if err != nil {
		if rerr := entry.Remove(); rerr != nil {
			x.warn("cannot clear the spool", "number", number, "error", rerr)
		}
		return nil, check.refused, err
	}
	r := x.newRequest(q, written[0], req, entry)
	if d != nil {
		r.ready = &finished{record: written[1], head: head}
	}
	return r, nil, nil
}

func claimRecord(q *qube, id string, number int64, header []byte, req queue.Request, key queue.Key) audit.Record {
	r := audit.Record{Event: audit.Claim, Qube: q.name, UUID: q.knownUUID(), ID: id, Number: number, Key: key.Fingerprint(), Kind: req.Kind, Version: 2,
		Request: queue.DigestOf(header).String(), Issued: req.Issued, Expires: req.Expires, Timeout: req.Timeout,
		Body: req.Body.String(), Stdin: req.Stdin.String()}
	if isToken(header) {
		r.Version, r.Body, r.Stdin = 1, "", ""
	}
	return r
}
