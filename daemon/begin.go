package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/burn"
	"qvmremote/daemon/spool"
	"qvmremote/queue"
)

// finished is a final record that was written together with its claim, or by
// an earlier run.
type finished struct {
	record audit.Record
	head   string
}

// newRequest puts a claimed request together.
func (x *Executor) newRequest(q *qube, c audit.Record, header queue.Request, entry *spool.Entry) *request {
	r := &request{q: q, claim: c, header: header, entry: entry, over: make(chan struct{}), out: entry.Output(queue.Stdout), err: entry.Output(queue.Stderr)}
	r.ctx, r.cancel = context.WithCancelCause(x.hard)
	r.courier = newCourier(q, c.ID, c.UUID, r.out, r.err)
	q.remember(r)
	return r
}

// begin takes a freshly claimed request on its way. One that was denied with
// its claim only needs its answer.
func (x *Executor) begin(r *request) {
	if r.ready == nil && x.stopped() {
		r.cancel(errStopped)
	}
	x.working.add()
	x.loops.Add(1)
	x.status.touch()
	go func() {
		defer x.loops.Done()
		err := r.burnID()
		lost := errors.Is(err, burn.ErrLost) || errors.Is(err, burn.ErrFull)
		switch {
		case err != nil && !lost:
			r.courier.stop()
			x.ended(r, "")
			return
		case lost && r.ready == nil:
			r.enter(CommandDelivering)
			r.conclude(end{state: audit.Denied, denial: &queue.Denial{Reason: queue.BurnLost, Authentic: true}})
			return
		}
		if r.ready != nil {
			r.enter(CommandDelivering)
			r.courier.stop()
			x.ended(r, r.ready.record.State)
			r.settle(r.ready.record, r.ready.head)
			return
		}
		e := r.execute()
		r.enter(CommandDelivering)
		r.conclude(e)
	}()
}

// ended is called once for each request that begin was called for, when its
// final record is written or, with state "", will not be in this run.
func (x *Executor) ended(r *request, state audit.State) {
	r.cancel(nil)
	r.state = state
	close(r.over)
	x.working.done()
	x.status.touch()
}

// takeUp goes on with what an earlier run left: a request without a final
// state is interrupted, never run again; one with it is delivered.
func (x *Executor) takeUp() error {
	known := map[int64]bool{}
	if err := x.burnAgain(); err != nil {
		return err
	}
	for _, open := range x.book.All() {
		known[open.Claim.Number] = true
		q := x.qubeOf(open.Claim.Qube)
		r, err := x.reopen(q, open.Claim)
		if err != nil {
			q.drop(open.Claim.ID)
			x.warn("cannot answer a request of an earlier run", "qube", open.Claim.Qube, "id", open.Claim.ID, "error", err)
			if err := x.abandon(open.Claim, open.Final); err != nil {
				return err
			}
			continue
		}
		if open.Final != nil {
			r.noteLoss(*open.Final)
			r.ready = &finished{record: *open.Final, head: x.log.Head()}
			x.begin(r)
			continue
		}
		e := end{state: audit.Interrupted, exit: queue.ExitInterrupted, detail: "the daemon ended while the request was open"}
		if open.Run != nil {
			e.started = open.Run.Time.Unix()
		}
		if err := x.interrupt(r, e); err != nil {
			return err
		}
	}
	return x.sweepSpool(known)
}

func (x *Executor) reopen(q *qube, c audit.Record) (*request, error) {
	entry, err := x.spool.Reopen(c.Number, q.name, c.Key)
	if err != nil {
		return nil, err
	}
	if _, err := entry.ResultKey(); err != nil {
		return nil, err
	}
	r := x.newRequest(q, c, queue.Request{ID: c.ID, Kind: c.Kind}, entry)
	r.burnt = true // by burnAgain
	return r, errors.Join(r.out.Recover(), r.err.Recover())
}

// interrupt records the end before anything else may happen: a start that
// cannot write it must not go on to look at qubes.
func (x *Executor) interrupt(r *request, e end) error {
	f := r.final(e)
	if err := r.release(); err != nil {
		x.warn("cannot close an output", "qube", r.q.name, "id", r.claim.ID, "error", err)
	}
	head, err := x.appendFinal(x.lasting, f)
	if err != nil {
		return fmt.Errorf("cannot record how request %d ended: %w", r.claim.Number, err)
	}
	r.ready = &finished{record: f, head: head}
	x.begin(r)
	return nil
}

// noteLoss says at the end of stderr that an output is not what its final
// record says: what is delivered must not look whole.
func (r *request) noteLoss(f audit.Record) {
	if f.State == audit.Denied || f.Out == r.out.Sum().String() && f.Err == r.err.Sum().String() {
		return
	}
	if saved, ok, err := r.entry.Result(); err == nil && ok && len(saved) > 0 {
		return // an answer was made from it before it was lost; it stays as it is
	}
	x := r.q.x
	x.warn("an output is not what the log says", "qube", r.q.name, "id", r.claim.ID)
	if _, err := r.err.Write([]byte("qvm-remote: dom0 lost a part of the output\n")); err != nil {
		x.warn("cannot tell the qube that output was lost", "qube", r.q.name, "id", r.claim.ID, "error", err)
	}
}

// abandon closes a request whose spool is gone: it has a final state in the
// log, and no one can sign it for the qube.
func (x *Executor) abandon(c audit.Record, final *audit.Record) error {
	base := audit.Record{Qube: c.Qube, ID: c.ID, Number: c.Number, Key: c.Key, Detail: "what the spool held of it is gone; the qube cannot be told"}
	if final == nil {
		f, exit := base, queue.ExitInterrupted
		f.Event, f.State, f.Exit = audit.Final, audit.Interrupted, &exit
		if _, err := x.appendFinal(x.lasting, f); err != nil {
			return err
		}
	}
	base.Event = audit.Delivered
	return x.append(x.lasting, base)
}

// sweepSpool removes the folders of requests that were never claimed, or were
// delivered right before a crash, and sets the next number above all of them.
func (x *Executor) sweepSpool(known map[int64]bool) error {
	numbers, err := x.spool.Numbers()
	if err != nil {
		return err
	}
	last := x.book.LastNumber()
	for _, n := range numbers {
		last = max(last, n)
		if !known[n] {
			if err := x.spool.RemoveStray(n); err != nil {
				return fmt.Errorf("cannot clear the spool: %w", err)
			}
		}
	}
	x.number.Store(last)
	return nil
}

// forgetKeys removes from the spool the keys for answers that nobody waits for
// and that dom0 does not hold any more. It is called while no claim is made.
func (x *Executor) forgetKeys() error {
	need := map[string]bool{}
	names, err := x.keys.List()
	if err != nil {
		return err
	}
	for _, name := range names {
		held, err := x.keys.Get(name)
		if err != nil {
			return err
		}
		need[held.Current.Fingerprint()], need[held.Next.Fingerprint()] = true, true
	}
	for _, open := range x.book.All() {
		need[open.Claim.Key] = true
	}
	return x.spool.ForgetKeys(need)
}

const maxPreview = 4 << 10 // bytes of a script kept in the log

// preview is the script as the log keeps it: its beginning, as valid UTF-8.
func preview(script []byte) string {
	s := string(script[:min(len(script), maxPreview)])
	if !utf8.Valid(script) {
		s = queue.Escape(s, 2*maxPreview)
	}
	if len(script) > maxPreview {
		s = strings.ToValidUTF8(s, "") + fmt.Sprintf("… (%d bytes in all)", len(script))
	}
	return strings.TrimSuffix(s, "\n")
}

// digest reads a digest from a record of our own log.
func digest(s string) queue.Digest {
	d, err := queue.ParseDigest(s)
	if err != nil {
		return queue.Digest{} // a claim record always has one; the client would refuse the answer
	}
	return d
}
