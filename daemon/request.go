package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"qvmremote/daemon/approval"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/run"
	"qvmremote/daemon/spool"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// request is a claimed request on its way to its one final state.
type request struct {
	q        *qube
	claim    audit.Record
	header   queue.Request // of a request taken up again after a restart: only what the claim's record holds
	entry    *spool.Entry
	ctx      context.Context // ends with run.ErrCancelled, or when the daemon must stop now
	cancel   context.CancelCauseFunc
	out      *spool.Output
	err      *spool.Output
	courier  *courier
	ready    *finished // its end is recorded already
	burnt    bool      // of version 1: its id is off those that can be used
	prepared *prepared // a supervisor that waits for it, or nil

	judged  judged           // by the policy
	hash    string           // of its bytes, as people approve them
	size    int64            // of the script
	since   string           // the authorisation of its key, as it was asked about
	decided *approval.Answer // of a person, or what one granted before; nil where none was asked for

	phase     phase         // how far it is
	startedAt atomic.Int64  // of the shell in this run, Unix nanoseconds; 0: not yet
	over      chan struct{} // closed when its final record is written or will not be in this run
	state     audit.State   // that record's, "" if there is none; to be read when over is closed
}

// end is a request's final state before it is recorded.
type end struct {
	state    audit.State
	denial   *queue.Denial // with state denied
	exit     int           // with any other state
	started  int64         // Unix seconds; 0 = the shell never began
	duration time.Duration
	detail   string // for the audit log only
}

var (
	errStopping = errors.New("the daemon is stopping")
	errExpired  = errors.New("the request expired")
)

// execute does what was asked, unless something on the way decides otherwise.
func (r *request) execute() end {
	before, cancel := r.untilStart()
	defer cancel()
	defer func() { r.prepared.discard(r.q.x) }()
	text, err := r.fetch(before)
	if err != nil {
		return r.endBefore(err)
	}
	if r.header.Kind == queue.KindPing {
		return end{state: audit.Exit, started: r.q.x.now().Unix()}
	}
	if err := r.permit(before); err != nil {
		return r.endBefore(err)
	}
	r.courier.show(queue.WordQueued)
	r.q.bound()
	if err := r.q.x.slots.Acquire(before, r.q.name); err != nil {
		return r.endBefore(err)
	}
	r.enter(CommandRunning)
	defer r.q.x.slots.Release(r.q.name)
	return r.run(before, text)
}

// untilStart bounds what happens before the shell starts: by the request's
// expiry, a cancel, and the daemon's stop.
func (r *request) untilStart() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(r.ctx)
	stop := context.AfterFunc(r.q.x.accepting, func() { cancel(errStopping) })
	timer := time.AfterFunc(r.deadline().Sub(r.q.x.now()), func() { cancel(errExpired) })
	return ctx, func() {
		stop()
		timer.Stop()
		cancel(nil)
	}
}

// deadline is when it is too late to start: when the second is over that the
// header names.
func (r *request) deadline() time.Time { return time.Unix(r.header.Expires+1, 0) }

// endBefore turns the reason why the shell never began into a final state.
func (r *request) endBefore(err error) end {
	var d *queue.Denial
	switch {
	case errors.As(err, &d):
		return end{state: audit.Denied, denial: d}
	case errors.Is(err, errStopped):
		return end{state: audit.Denied, denial: &queue.Denial{Reason: queue.NotReady, Detail: errStopped.Error(), Authentic: true}}
	case errors.Is(err, run.ErrCancelled):
		return end{state: audit.Cancelled, exit: queue.ExitCancelled}
	case errors.Is(err, errExpired):
		return end{state: audit.Denied, denial: r.late(queue.Expired)}
	case errors.Is(err, errStopping), errors.Is(err, context.Canceled):
		return end{state: audit.Interrupted, exit: queue.ExitInterrupted, detail: "the daemon stopped before it began"}
	default:
		return end{state: audit.Denied, detail: err.Error(),
			denial: &queue.Denial{Reason: queue.NotReady, Detail: "dom0's log says why", Authentic: true}}
	}
}

func (r *request) late(reason queue.Reason) *queue.Denial {
	return &queue.Denial{Reason: reason, Authentic: true, Detail: dom0Clock(r.q.x.now())}
}

func dom0Clock(now time.Time) string {
	return "dom0's clock says " + now.UTC().Format("2006-01-02 15:04:05 UTC")
}

// fetch brings script and stdin into the spool and returns the script's preview.
// A qube that goes away in the middle is awaited until the request expires.
func (r *request) fetch(ctx context.Context) (text string, err error) {
	if r.header.Kind == queue.KindPing {
		if r.header.Body != queue.SumOf(nil) {
			return "", &queue.Denial{Reason: queue.Mismatch, Authentic: true}
		}
		return "", nil
	}
	if r.claim.Version == 1 {
		err = r.fetchOld(ctx)
	} else {
		err = r.fetchParts(ctx)
	}
	var d *queue.Denial
	var failure *queue.Failure
	switch {
	case err == nil:
	case errors.As(err, &d):
		return "", err
	case errors.Is(err, errExpired):
		return "", r.late(queue.Unreadable)
	case errors.Is(err, spool.ErrMismatch), errors.Is(err, transport.ErrChanged):
		return "", &queue.Denial{Reason: queue.Mismatch, Authentic: true}
	case errors.As(err, &failure):
		return "", &queue.Denial{Reason: queue.Unreadable, Authentic: true}
	default:
		return "", err
	}
	return r.read(ctx)
}

func (r *request) fetchParts(ctx context.Context) error {
	return r.q.withConn(ctx, r.claim.UUID, func(c transport.Conn) error {
		err := r.entry.Script(r.header.Body, r.part(ctx, c, queue.PartBody, r.header.Body.Size))
		if err == nil && r.header.Stdin.Present {
			err = r.entry.Stdin(r.header.Stdin, r.part(ctx, c, queue.PartStdin, r.header.Stdin.Size))
		}
		return err
	})
}

// read checks the script that is in the spool, and what the policy says of it.
func (r *request) read(ctx context.Context) (text string, err error) {
	script, release, err := r.script(ctx)
	if err != nil {
		return "", err
	}
	defer release()
	if d := queue.CheckScript(script); d != nil {
		return "", d
	}
	r.hash, r.size = queue.HashOf(queue.SumOf(script), r.header.Stdin), int64(len(script))
	if d := r.judge(script); d != nil {
		return "", d
	}
	return preview(script), nil
}

// script reads the script that is in the spool. Few are in memory at once,
// however many requests wait: release makes room.
func (r *request) script(ctx context.Context) (script []byte, release func(), err error) {
	select {
	case r.q.x.reading <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, context.Cause(ctx)
	}
	release = func() { <-r.q.x.reading }
	if script, err = r.entry.ReadScript(); err != nil {
		release()
		return nil, nil, err
	}
	return script, release, nil
}

func (r *request) part(ctx context.Context, c transport.Conn, p queue.Part, size int64) func(io.Writer) error {
	return func(w io.Writer) error { return c.Copy(ctx, w, r.header.ID, p, size) }
}

// run records that the shell is about to start, and starts it.
func (r *request) run(before context.Context, text string) end {
	x := r.q.x
	if x.o.DryRun {
		if err := r.mayStart(before); err != nil {
			return r.endBefore(err)
		}
		return r.dryRun(text)
	}
	limit := x.settings().MaxOutput
	outcome := x.runner.Run(r.ctx, run.Command{
		Script: r.entry.ScriptPath(), Stdin: r.stdin(), Qube: r.q.name, ID: r.header.ID,
		Timeout: time.Duration(r.header.Timeout) * time.Second,
		Out:     &sink{o: r.out}, Err: &sink{o: r.err}, MaxOut: limit, MaxErr: limit,
		Prepared:    r.prepared.get(),
		BeforeStart: func() error { return r.recordStart(before, text) },
		Started: func() {
			r.startedAt.Store(x.now().UnixNano())
			r.courier.show(queue.WordRunning)
			x.status.touch()
		},
	})
	if !outcome.Began {
		if outcome.State == run.Cancelled {
			return r.endBefore(run.ErrCancelled)
		}
		return r.endBefore(orElse(outcome.Err, errStopping))
	}
	e := end{state: audit.State(outcome.State), exit: outcome.Exit, duration: outcome.Duration, started: x.now().Unix()}
	if !outcome.StartedAt.IsZero() {
		e.started = outcome.StartedAt.Unix()
	}
	switch {
	case outcome.Err != nil:
		e.detail = outcome.Err.Error()
	case outcome.State == run.Interrupted && errors.Is(context.Cause(r.ctx), errStopped):
		e.detail = errStopped.Error()
	}
	return e
}

func orElse(err, other error) error {
	if err != nil {
		return err
	}
	return other
}

func (r *request) stdin() string {
	if r.header.Stdin.Present {
		return r.entry.StdinPath()
	}
	return ""
}

// recordStart writes the command text to the log. It is called when the
// supervisor is on its way, which then waits for the word to start the shell.
func (r *request) recordStart(before context.Context, text string) error {
	record := r.record(audit.Run)
	record.Command, record.Rule = text, r.judged.Rule
	if r.decided != nil {
		record.Who, record.Way, record.Detail = r.decided.Who, r.decided.Way, fmt.Sprintf("approved with number %d", r.decided.By)
	}
	if err := r.q.x.append(before, record); err != nil {
		return orElse(context.Cause(before), err)
	}
	return r.mayStart(before)
}

// mayStart is asked right before the shell starts: time may have passed since
// the claim, and the key may have been revoked.
func (r *request) mayStart(before context.Context) error {
	if err := context.Cause(before); err != nil {
		return err
	}
	if r.q.x.stopped() {
		return errStopped
	}
	if r.q.x.now().Unix() > r.header.Expires {
		return errExpired
	}
	held, d := r.q.holding()
	if d != nil {
		d.Authentic = true
		return d
	}
	if r.claim.Version == 1 && !r.q.legacy(held) {
		return &queue.Denial{Reason: queue.Unsupported, Detail: "version 1 was turned off in the meantime", Authentic: true}
	}
	if f := r.claim.Key; f != held.Current.Fingerprint() && (held.Next.IsZero() || f != held.Next.Fingerprint()) {
		return &queue.Denial{Reason: queue.NoKey, Detail: "its key was revoked in the meantime", Authentic: true}
	}
	if d := r.judgeAgain(before); d != nil {
		return d
	}
	if d := r.stillApproved(held); d != nil {
		return d
	}
	return nil
}

func (r *request) dryRun(text string) end {
	_, err := r.out.Write([]byte("[dry-run] " + text + "\n"))
	e := end{state: audit.Exit, detail: "dry run: nothing was started"}
	if err != nil {
		e.detail = err.Error()
	}
	return e
}

// record begins a record about this request.
func (r *request) record(event audit.Event) audit.Record {
	return audit.Record{Event: event, Qube: r.q.name, ID: r.claim.ID, Number: r.claim.Number, Key: r.claim.Key}
}

// sink keeps a command's output. A disk that fills up loses output, never the
// command: what is kept is what is signed.
type sink struct {
	o      *spool.Output
	failed bool
}

func (s *sink) Write(p []byte) (int, error) {
	if !s.failed {
		if _, err := s.o.Write(p); err != nil {
			s.failed = true
			return 0, err
		}
	}
	return len(p), nil
}
