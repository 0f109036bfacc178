package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"qvmremote/daemon/approval"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// Approvals lists what was approved beyond single requests and still counts.
func (x *Executor) Approvals() []approval.Grant { return x.approvals.Grants() }

// Left is how long it is until the end; ok is false where only a reboot brings it.
func (x *Executor) Left(e boot.End) (left time.Duration, ok bool) { return x.boot.Left(e) }

// RevokeApprovals takes back what was approved for a qube with the request of
// that number, or with number 0 all that was. What was let through by it and
// has not begun is denied; what runs goes on. It tells how much was approved.
func (x *Executor) RevokeApprovals(ctx context.Context, qube string, number int64, who, way string) (int, error) {
	if !queue.ValidQube(qube) {
		return 0, fmt.Errorf("%s is not a qube's name", queue.Quote(qube, 40))
	}
	n, err := x.approvals.Revoke(qube, number)
	detail := "all that was approved is taken back"
	if number != 0 {
		detail = fmt.Sprintf("what was approved with number %d is taken back", number)
	}
	if rerr := x.append(ctx, audit.Record{Event: audit.Setting, Qube: qube, Detail: detail, Who: who, Way: way}); rerr != nil {
		err = errors.Join(err, fmt.Errorf("it is taken back, but that could not be recorded: %w", rerr))
	}
	return n, err
}

// stillApproved is asked right before the shell starts.
func (r *request) stillApproved(held keys.Held) *queue.Denial {
	if r.decided == nil {
		return nil
	}
	err := r.q.x.approvals.Holds(*r.decided)
	if err == nil && held.Meta.Authorisation() != r.since {
		err = approval.ErrTaken // with the key, which then was authorised anew
	}
	if err != nil {
		return &queue.Denial{Reason: queue.NotApproved, Detail: err.Error(), Authentic: true}
	}
	return nil
}

// revokeStale takes back what was approved for a key that is gone or suspended,
// of one qube or with "" of all: it must not count again when the key does.
func (x *Executor) revokeStale(qube string) {
	var errs []error
	for _, g := range x.approvals.Grants() {
		if qube != "" && g.Qube != qube {
			continue
		}
		held, err := x.keys.Get(g.Qube)
		if errors.Is(err, keys.ErrNoKey) || err == nil && !counts(g, held) {
			_, err := x.approvals.Revoke(g.Qube, g.Number)
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		x.warn("cannot keep that approvals were taken back with their key", "error", err)
	}
}

// counts reports whether the key that the grant was for is held, and counts.
func counts(g approval.Grant, held keys.Held) bool {
	if held.Meta.Suspended != 0 || held.Meta.Authorisation() != g.Since {
		return false
	}
	return g.Key == held.Current.Fingerprint() || !held.Next.IsZero() && g.Key == held.Next.Fingerprint()
}
