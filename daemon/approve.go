package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/approval"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/disk"
	"qvmremote/daemon/policy"
	"qvmremote/daemon/trusted"
	"qvmremote/queue"
)

const maxApprovals = 1 << 20 // bytes of the file that keeps what was approved

// openApprovals takes up what was approved earlier in this boot. What cannot be
// read is as if nothing had been.
func (x *Executor) openApprovals() (err error) {
	if x.boot = x.o.Boot; x.boot.ID == "" {
		if x.boot, err = boot.This(); err != nil {
			return err
		}
	}
	path := x.o.Root.Approvals()
	kept, _, err := trusted.Read(path, maxApprovals)
	if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	book, perr := approval.New(x.boot, kept, func(state []byte) error {
		return disk.Place("approval.keep", path, state, 0o600)
	})
	x.approvals = book
	x.complain(healthApprovals, "what was approved before is lost, and asked about again", errors.Join(err, perr))
	x.revokeStale("")
	return nil
}

// permit lets the request go on if the policy allows it, and asks a person if
// the policy says so.
func (r *request) permit(ctx context.Context) error {
	if r.judged.Verdict != policy.Ask {
		return nil // any other than allow was denied by judge
	}
	x := r.q.x
	if x.o.Once {
		return &queue.Denial{Reason: queue.NoApprover, Detail: "dom0 looks at this qube once, and asks nobody", Authentic: true}
	}
	r.prepared.discard(x) // people take their time
	r.prepared = nil
	held, d := r.q.holding()
	if d != nil {
		d.Authentic = true
		return d
	}
	r.since = held.Meta.Authorisation()
	turn, err := x.approvals.Ask(r.question())
	switch {
	case errors.Is(err, approval.ErrFull):
		return &queue.Denial{Reason: queue.Limit, Detail: err.Error(), Authentic: true}
	case errors.Is(err, approval.ErrDenied):
		return &queue.Denial{Reason: queue.NotApproved, Detail: err.Error(), Authentic: true}
	case err != nil:
		return err
	}
	select {
	case a := <-turn.Answer():
		return r.answered(a)
	default:
	}
	r.enter(CommandAsking)
	defer r.enter(CommandWaiting)
	r.courier.show(queue.WordApproval)
	select {
	case a := <-turn.Answer():
		return r.answered(a)
	case <-ctx.Done():
	}
	x.approvals.Withdraw(turn)
	if err = context.Cause(ctx); !errors.Is(err, errExpired) {
		return err
	}
	late := &queue.Denial{Reason: queue.NoApprover, Authentic: true}
	select {
	case a := <-turn.Answer(): // in the same moment
		if !a.Approved {
			return r.answered(a)
		}
		late.Detail = "it was approved in the moment in which it expired"
	default:
	}
	return late
}

func (r *request) answered(a approval.Answer) error {
	r.decided = &a
	if a.Approved {
		return nil
	}
	detail := ""
	if a.UntilReboot {
		detail = "and to the same until dom0 reboots"
	}
	return &queue.Denial{Reason: queue.NotApproved, Detail: detail, Authentic: true}
}

func (r *request) question() approval.Question {
	q := approval.Question{Number: r.claim.Number, Qube: r.q.name, Key: r.claim.Key, Since: r.since, Hash: r.hash, Received: r.claim.Time,
		Expires: r.deadline(), Script: r.size, Stdin: -1, Rule: r.judged.Rule}
	if r.header.Stdin.Present {
		q.Stdin = r.header.Stdin.Size
	}
	return q
}

// Questions lists the requests that somebody may decide about now: one a qube.
// It may be called by any goroutine between Front.Ready and the end of
// Front.Closed.
func (x *Executor) Questions() []approval.Question { return x.approvals.Open() }

// asking is the request behind an open question.
func (x *Executor) asking(number int64) (*request, approval.Question, error) {
	q, err := x.approvals.Find(number)
	if err != nil {
		return nil, q, err
	}
	if !x.now().Before(q.Expires) {
		return nil, q, fmt.Errorf("number %d has expired: %w", number, approval.ErrNone)
	}
	all := x.active()
	i := slices.IndexFunc(all, func(r *request) bool { return r.claim.Number == number })
	if i < 0 {
		return nil, q, fmt.Errorf("number %d: %w", number, approval.ErrNone)
	}
	return all[i], q, nil
}

// Approve lets a request run whose bytes have that hash, and whatever else scope
// says. Who did it and by which way is recorded before it goes on.
func (x *Executor) Approve(ctx context.Context, number int64, hash string, scope approval.Scope, who, way string) error {
	r, q, err := x.asking(number)
	if err != nil {
		return err
	}
	if err := scope.Check(); err != nil {
		return err
	}
	if hash != q.Hash {
		return x.approvals.Approve(number, hash, scope, who, way) // which says why not
	}
	what := Approved{Stdin: r.header.Stdin}
	if what.Script, err = r.entry.ReadScript(); err != nil {
		return gone(number, err)
	}
	record := r.record(audit.Approved)
	record.Hash, record.Detail, record.Who, record.Way, record.Rule = q.Hash, scope.String(), who, way, q.Rule
	if err := x.append(ctx, record); err != nil {
		return fmt.Errorf("number %d is not approved, for that could not be recorded: %w", number, err)
	}
	err = x.approvals.Approve(number, hash, scope, who, way)
	if errors.Is(err, approval.ErrBehind) {
		x.warn("what was approved for longer is not used for what waits", "qube", q.Qube, "error", err)
		err = nil
	}
	if err != nil {
		x.tell(audit.Record{Event: audit.Setting, Qube: q.Qube, ID: record.ID, Number: number, Who: who, Way: way, Detail: "the approval did not count: " + err.Error()})
	} else {
		x.rememberApproved(q.Qube, what)
	}
	x.status.touch()
	return err
}

// DenyRequest ends a request that waits for approval; the same bytes are not
// asked about again for a while, or until the reboot.
func (x *Executor) DenyRequest(number int64, untilReboot bool, who, way string) error {
	if _, _, err := x.asking(number); err != nil {
		return err
	}
	err := x.approvals.Deny(number, untilReboot, who, way)
	x.status.touch()
	return err
}

// RequestScript is the script of a request that waits for approval: the very
// bytes that would run.
func (x *Executor) RequestScript(number int64) ([]byte, error) {
	r, _, err := x.asking(number)
	if err != nil {
		return nil, err
	}
	script, err := r.entry.ReadScript()
	return script, gone(number, err)
}

// RequestStdinSum is the sum of the input of a request that waits for approval.
func (x *Executor) RequestStdinSum(number int64) (queue.Sum, error) {
	r, _, err := x.asking(number)
	if err != nil {
		return queue.Sum{}, err
	}
	return r.header.Stdin, nil
}

// MaxPiece is how much of an input [Executor.RequestStdin] gives at once.
const MaxPiece = 1 << 20

// RequestStdin is a piece of the input of a request that waits for approval:
// at most [MaxPiece] bytes from offset on, none at its end.
func (x *Executor) RequestStdin(number, offset int64) ([]byte, error) {
	r, q, err := x.asking(number)
	if err != nil || q.Stdin <= offset {
		return nil, err
	}
	f, err := os.OpenFile(r.entry.StdinPath(), os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, gone(number, err)
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.NewSectionReader(f, offset, min(MaxPiece, q.Stdin-offset)))
}

// gone makes of a file that is not there any more a question that is not.
func gone(number int64, err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("number %d: %w", number, approval.ErrNone)
	}
	return err
}

// maxRemembered bounds a script that is kept to compare the next one with.
const maxRemembered = 256 << 10

// Approved is what of a request was approved.
type Approved struct {
	Script []byte
	Stdin  queue.Sum
}

// rememberApproved keeps what was approved last, for who compares.
func (x *Executor) rememberApproved(qube string, what Approved) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(what.Script) > maxRemembered {
		delete(x.approved, qube)
		return
	}
	x.approved[qube] = what
}

// LastApproved is what of the qube was last approved since this executor
// started; ok is false where nothing was, or a script too large to be kept.
func (x *Executor) LastApproved(qube string) (what Approved, ok bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	what, ok = x.approved[qube]
	return what, ok
}
