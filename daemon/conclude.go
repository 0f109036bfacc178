package daemon

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// answer is what the spool keeps of a concluded request: the bytes that every
// delivery sends.
type answer struct {
	Auth   []byte `json:"auth"`             // the signed result
	Denied []byte `json:"denied,omitempty"` // content of .denied
	Nonce  string `json:"nonce"`
	Head   string `json:"head"`
	Log    string `json:"log"` // the line for the qube's audit.log
}

// conclude records the final state, and only then tells the qube. It tries
// until both is done or the daemon ends; a restart takes it up from there.
func (r *request) conclude(e end) {
	x := r.q.x
	r.courier.stop()
	record := r.final(e)
	if err := r.release(); err != nil { // the qube may be gone for days
		x.warn("cannot close an output", "qube", r.q.name, "id", r.claim.ID, "error", err)
	}
	var head string
	err := x.persist(x.lasting, "record the end of a request", func() (err error) {
		head, err = x.appendFinal(x.lasting, record)
		return err
	})
	if err != nil {
		x.ended(r, "")
		return
	}
	x.ended(r, record.State)
	r.settle(record, head)
}

// settle keeps the answer and delivers it.
func (r *request) settle(final audit.Record, head string) {
	x := r.q.x
	var a answer
	err := x.persist(x.lasting, "keep the answer of a request", func() (err error) {
		a, err = r.answer(final, head)
		return err
	})
	if err == nil {
		r.deliver(a)
	}
}

// final spells the end for the log.
func (r *request) final(e end) audit.Record {
	f := r.record(audit.Final)
	f.State, f.StartedAt, f.Duration, f.Detail = e.state, e.started, e.duration.Milliseconds(), e.detail
	if e.denial != nil {
		// The qube is told this record's detail; what dom0 knows beyond it
		// may name paths and goes to the journal only.
		f.Reason, f.Detail, f.Rule = string(e.denial.Reason), e.denial.Detail, r.judged.Rule
		if e.denial.Reason == queue.NotApproved && r.decided != nil && !r.decided.Approved {
			f.Who, f.Way = r.decided.Who, r.decided.Way
		}
		if e.detail != "" {
			r.q.x.warn("a request could not be run", "qube", r.q.name, "id", r.claim.ID, "error", e.detail)
		}
		return f
	}
	if r.claim.Version == 1 && e.state == audit.Interrupted {
		e.exit = queue.ExitCancelled // as the first implementation had it
	}
	f.Exit = &e.exit
	if err := errors.Join(r.out.Sync(), r.err.Sync()); err != nil && f.Detail == "" {
		f.Detail = err.Error()
	}
	r.nameWho(&f)
	f.Out, f.Err = r.out.Sum().String(), r.err.Sum().String()
	if err := r.excerpt(&f); err != nil && f.Detail == "" {
		f.Detail = err.Error()
	}
	return f
}

// nameWho says in the final record of a request that was cancelled in dom0 who
// did it.
func (r *request) nameWho(f *audit.Record) {
	var here *cancelledHere
	if f.State != audit.Cancelled || !errors.As(context.Cause(r.ctx), &here) {
		return
	}
	f.Who, f.Way = here.who, here.way
	if f.Detail != "" {
		f.Detail = "; " + f.Detail
	}
	f.Detail = here.Error() + f.Detail
}

// answer returns the answer kept in the spool, or makes and keeps it: signed
// with the key that authenticated the request, with a checkpoint that covers
// its final record.
func (r *request) answer(final audit.Record, head string) (answer, error) {
	var a answer
	saved, ok, err := r.entry.Result()
	if err != nil {
		return a, err
	}
	if ok {
		if err := json.Unmarshal(saved, &a); err != nil {
			return a, fmt.Errorf("cannot read the answer of request %d: %w", r.claim.Number, err)
		}
		return a, nil
	}
	nonce, checkpoint, err := audit.NewCheckpoint(head)
	if err != nil {
		return a, err
	}
	key, err := r.entry.ResultKey()
	if err != nil {
		return a, err
	}
	res, denied := r.result(final)
	res.Checkpoint = checkpoint
	a = answer{Auth: res.Sign(key), Denied: denied, Nonce: hex.EncodeToString(nonce[:]), Head: head, Log: logLine(r.claim.ID, final)}
	b, err := json.Marshal(a)
	if err != nil {
		return a, err
	}
	return a, r.entry.SaveResult(b)
}

// result spells the final record for the qube.
func (r *request) result(f audit.Record) (res queue.Result, denied []byte) {
	res = queue.Result{
		ID: r.claim.ID, Qube: r.q.name, Request: digest(r.claim.Request), State: queue.State(f.State),
		Started: f.StartedAt, DurationMS: f.Duration,
	}
	if f.State == audit.Denied {
		d := queue.Denial{Reason: queue.Reason(f.Reason), Detail: f.Detail}
		denied = d.File()
		res.Reason, res.Exit, res.Err = d.Reason, queue.NoExit, queue.SumOf(denied)
		return res, denied
	}
	res.Exit, res.Out, res.Err = exitOf(f), r.out.Sum(), r.err.Sum()
	return res, nil
}

// exitOf is the exit code in a final record.
func exitOf(f audit.Record) int {
	if f.Exit == nil {
		return queue.ExitInterrupted // no daemon writes such a record
	}
	return *f.Exit
}

// deliver brings the answer to the qube, again and again until it has it, and
// records that. When the daemon stops before, the next one goes on with it.
func (r *request) deliver(a answer) {
	x := r.q.x
	ctx, cancel := context.WithDeadline(x.lasting, r.claim.Time.Add(x.o.Times.GiveUp))
	defer cancel()
	finish, err := r.finish(a)
	if err != nil {
		x.warn("cannot read back an answer", "qube", r.q.name, "id", r.claim.ID, "error", err)
		return
	}
	err = x.retry(ctx, func() error {
		return r.q.withConn(ctx, r.claim.UUID, func(c transport.Conn) error {
			err := r.courier.rest(ctx, c)
			if err == nil {
				err = c.Finish(ctx, &finish, r.out, r.err)
			}
			err = errors.Join(err, r.release())
			if err != nil {
				r.courier.startOver() // what the qube had of the output may be gone
				return err
			}
			r.courier.removed(c)
			r.q.answeredNow(r.claim.ID)
			return nil
		})
	}, func(err error, pause time.Duration) {
		if r.q.told.again() {
			x.warn("cannot deliver a result to "+r.q.name+"; trying again", "id", r.claim.ID, "error", err, "pause", pause.String())
		}
	})
	delivered := r.record(audit.Delivered)
	delivered.Nonce, delivered.Head, delivered.Checkpoint = a.Nonce, a.Head, checkpointOf(a)
	if err != nil {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return
		}
		delivered.Detail = "given up: the qube did not take it"
	}
	if x.persist(x.lasting, "record a delivery", func() error { return x.append(x.lasting, delivered) }) != nil {
		return
	}
	if err := r.entry.Remove(); err != nil {
		x.warn("cannot clear the spool", "number", r.claim.Number, "error", err)
	}
	r.q.drop(r.claim.ID)
}

func (r *request) release() error { return errors.Join(r.out.Release(), r.err.Release()) }

func checkpointOf(a answer) string {
	res, err := queue.ReadOwnResult(a.Auth)
	if err != nil {
		return ""
	}
	return res.Checkpoint
}

// finish is the message that delivers a.
func (r *request) finish(a answer) (queue.Finish, error) {
	res, err := queue.ReadOwnResult(a.Auth)
	if err != nil {
		return queue.Finish{}, err
	}
	f := queue.Finish{ID: res.ID, OutSize: res.Out.Size, ErrSize: res.Err.Size, Auth: a.Auth, Denied: a.Denied, Log: a.Log}
	meta := "id=" + res.ID + "\n"
	if res.Started != 0 {
		meta += "started=" + time.Unix(res.Started, 0).Format(time.RFC3339) + "\n"
	}
	meta += "duration_ms=" + strconv.FormatInt(res.DurationMS, 10) + "\n"
	if res.State == queue.StateDenied {
		f.OutSize, f.ErrSize = 0, 0
	} else {
		f.Exit = strconv.Itoa(res.Exit)
		meta += "exit_code=" + f.Exit + "\n"
	}
	f.Meta = []byte(meta)
	if r.claim.Version == 1 {
		f.Auth = nil
	}
	return f, nil
}

// logLine is dom0's line in the qube's audit.log, in the first
// implementation's format.
func logLine(id string, f audit.Record) string {
	now := time.Now().Format("2006-01-02T15:04:05")
	if f.State == audit.Denied {
		return fmt.Sprintf("[%s] id=%s denied=%s", now, id, f.Reason)
	}
	return fmt.Sprintf("[%s] id=%s exit=%d duration=%dms state=%s", now, id, exitOf(f), f.Duration, f.State)
}
