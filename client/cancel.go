package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qvmremote/queue"
)

// ErrNotConfirmed says that a cancel was published and dom0 has not answered
// it in time: the command may run or go on running.
var ErrNotConfirmed = errors.New("cancel not confirmed")

// Cancel takes a request back and waits at most Waits.Cancel for its final
// state, which may be another than cancelled: it may have ended before. The
// error is [ErrNotConfirmed] without one, and [ErrLegacyCancel] for a request of
// version 1, which cannot wait for anything. The answer is filed in the history,
// where others who wait for it find it.
func (c *Client) Cancel(ctx context.Context, t *Ticket) (Outcome, error) {
	if t.legacy {
		c.retract(t)
		c.note("WITHDRAW id=" + t.ID)
		return Outcome{}, ErrLegacyCancel
	}
	if !c.ended(t) {
		c.retract(t)
		if err := c.publishCancel(t); err != nil {
			return Outcome{}, fmt.Errorf("cannot cancel: %w", err)
		}
		c.note("CANCEL id=" + t.ID)
	}
	ctx, stop := context.WithTimeout(ctx, c.Waits.Cancel)
	defer stop()
	own := *t
	own.since = time.Now()
	w := c.newWaiter(&own, Events{})
	w.taken = true // nothing to withdraw
	defer w.close()
	o, err := w.run(ctx)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrNoAnswer) {
		return Outcome{}, ErrNotConfirmed
	}
	return c.settle(t, o, err)
}

// publishCancel puts a signed cancel where dom0 looks.
func (c *Client) publishCancel(t *Ticket) error {
	key := t.key
	if key.IsZero() {
		var err error
		if key, err = c.Key(); err != nil {
			return err
		}
	}
	x := queue.Cancel{ID: t.ID, Qube: t.Qube, Issued: c.Now().Unix(), Expires: t.Expires, Request: t.Digest}
	return Explain(queue.Publish(c.Layout.Cancel(t.ID), x.Sign(key.RequestKey())))
}

// Ping asks dom0 for a sign of life within Waits.Ping; it checks the key as a
// command would and starts nothing, except that version 1 knows no ping and
// runs true. It leaves no trace in queue or history.
func (c *Client) Ping(ctx context.Context) (Outcome, error) {
	within := max(c.Waits.Ping.Round(time.Second), time.Second)
	r := Request{Within: within, Timeout: time.Second}
	if c.Legacy {
		r = Request{Script: []byte("true\n"), Timeout: within}
	}
	t, err := c.ticket(ctx, queue.KindPing, r)
	if err != nil {
		return Outcome{}, err
	}
	if err := c.publish(ctx, t, r); err != nil {
		c.retract(t)
		return Outcome{}, Explain(err)
	}
	ctx, stop := context.WithTimeout(ctx, c.Waits.Ping)
	defer stop()
	w := c.newWaiter(t, Events{})
	defer w.close()
	o, err := w.run(ctx)
	c.retract(t)
	c.file(t)
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrLegacyTimeout) {
		return Outcome{}, ErrNotTaken
	}
	return o, err
}
