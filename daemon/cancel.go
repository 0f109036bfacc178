package daemon

import (
	"context"
	"errors"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/run"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// takeBack deals with a cancel. One that fails a check is removed and counted,
// never answered. The error is the connection's.
func (q *qube) takeBack(ctx context.Context, conn transport.Conn, id string, held keys.Held, denial *queue.Denial) (useful bool, err error) {
	b, err := conn.ReadHeader(ctx, id, queue.PartCancel)
	var failure *queue.Failure
	switch {
	case errors.As(err, &failure) && failure.Code == queue.CodeGone:
		return false, nil
	case errors.As(err, &failure), errors.Is(err, queue.ErrTooLarge):
		return false, q.dropCancel(ctx, conn, id, queue.Malformed)
	case err != nil:
		return false, err
	case denial != nil:
		return false, q.dropCancel(ctx, conn, id, denial.Reason)
	}
	if err := q.x.adoptHeld(ctx, q.name, held); err != nil {
		return false, nil // it stays where it is while dom0 cannot write
	}
	check := queue.Check{ID: id, Qube: q.name, Now: q.x.now(), Floor: q.floor}
	c, key, d := check.Cancel(b, held.Current, held.Next)
	if d != nil {
		if d.Reason == queue.BadMAC {
			limits, _ := q.limits()
			q.unsigned(ctx, limits.SuspendAfter)
		}
		return false, q.dropCancel(ctx, conn, id, d.Reason)
	}
	q.rate.good()
	return q.cancelIt(ctx, conn, c, key, held)
}

func (q *qube) dropCancel(ctx context.Context, conn transport.Conn, id string, why queue.Reason) error {
	q.refused.count(q, audit.Record{Event: audit.Dropped, Qube: q.name, ID: id, Reason: string(why)})
	return q.clear(ctx, conn, id)
}

// clear removes a cancel's file.
func (q *qube) clear(ctx context.Context, conn transport.Conn, id string) error {
	err := conn.Clean(ctx, queue.FolderCancel, id)
	var failure *queue.Failure
	if errors.As(err, &failure) {
		return nil
	}
	return err
}

// cancelIt ends a request, or claims an id that has none yet, so that the
// request it names can never begin. useful is set where that changed anything.
func (q *qube) cancelIt(ctx context.Context, conn transport.Conn, c queue.Cancel, key queue.Key, held keys.Held) (useful bool, err error) {
	switch q.x.book.Lookup(q.name, c.ID) {
	case claim.Open:
		if r := q.request(c.ID); r != nil {
			if r.claim.Request != c.Request.String() {
				return false, q.dropCancel(ctx, conn, c.ID, queue.Mismatch)
			}
			useful = r.ctx.Err() == nil
			r.cancel(run.ErrCancelled)
		}
	case claim.Unknown:
		if loud := q.tooLoud(); loud != nil {
			return false, q.dropCancel(ctx, conn, c.ID, loud.Reason)
		}
		if q.crowded() || q.paused() {
			return false, nil // it stays where it is until there is room, or dom0 takes requests again
		}
		// It is a claim as that of a request is, and counts as one.
		limits, _ := q.limits()
		if fast := q.tooFast(limits.Requests); fast != nil {
			return false, q.dropCancel(ctx, conn, c.ID, fast.Reason)
		}
		err := q.claimCancelled(ctx, c, key, held)
		var d *queue.Denial
		switch {
		case errors.As(err, &d):
			return false, q.dropCancel(ctx, conn, c.ID, d.Reason)
		case errors.Is(err, errPaused):
			return false, nil
		case err != nil && !errors.Is(err, errClaimed):
			q.x.warn("cannot take a cancel", "qube", q.name, "id", c.ID, "error", err)
			return false, nil
		}
		useful = err == nil
	}
	return useful, q.clear(ctx, conn, c.ID)
}

func (q *qube) claimCancelled(ctx context.Context, c queue.Cancel, key queue.Key, held keys.Held) error {
	x := q.x
	if key.Equal(held.Next) {
		unlock, err := x.keys.Lock(ctx)
		if err != nil {
			return err
		}
		defer unlock()
	}
	number := x.number.Add(1)
	entry, err := x.spool.Create(number, q.name, queue.MaxHeader, key.Fingerprint(), key.ResultKey())
	if err != nil {
		return err
	}
	exit := queue.ExitCancelled
	// The claim must be kept for as long as the request it names could start:
	// that one was issued before its expiry, whatever the cancel's own date.
	none := queue.SumOf(nil).String()
	records := []audit.Record{
		{Event: audit.Claim, Qube: q.name, UUID: q.knownUUID(), ID: c.ID, Number: number, Key: key.Fingerprint(), Kind: "cancel", Version: 2,
			Request: c.Request.String(), Issued: max(c.Issued, c.Expires), Expires: c.Expires},
		{Event: audit.Final, Qube: q.name, ID: c.ID, Number: number, Key: key.Fingerprint(),
			State: audit.Cancelled, Exit: &exit, Out: none, Err: none},
	}
	written, head, err := x.claimUnderLock(ctx, records, func() (bool, error) {
		if x.paused() {
			return false, errPaused
		}
		promote, d := q.stillGood(c.ID, queue.Request{Issued: c.Issued}, key)
		if d != nil {
			return false, d
		}
		if x.book.Lookup(q.name, c.ID) != claim.Unknown {
			return false, errClaimed
		}
		return promote, nil
	})
	if err != nil {
		return errors.Join(err, entry.Remove())
	}
	r := x.newRequest(q, written[0], queue.Request{ID: c.ID}, entry)
	r.ready = &finished{record: written[1], head: head}
	x.begin(r)
	return nil
}
