package daemon

import (
	"context"
	"errors"
	"io/fs"

	"qvmremote/daemon/policy"
	"qvmremote/daemon/settings"
	"qvmremote/queue"
)

// maxRule bounds what a record holds of a rule, in bytes.
const maxRule = 500

// judged is what the policy said of a request's script.
type judged struct {
	policy.Decision
	hash string // of the policy that said it
}

// policy reads the qube's rules as they are on the disk now. Nothing of them is
// remembered: an edit counts for the next request, and a file with an error
// denies everything until it is mended, whatever an earlier one allowed.
func (q *qube) policy() (*policy.Policy, *queue.Denial) {
	p, err := policy.Load(q.x.o.Root.Keys(), q.name)
	if errors.Is(err, fs.ErrNotExist) {
		q.x.complain(HealthPolicy+q.name, "", nil)
		return nil, &queue.Denial{Reason: queue.NoPolicy, Authentic: true}
	}
	q.x.complain(HealthPolicy+q.name, "each request of "+q.name+" is denied, for its policy has an error", err)
	if err != nil {
		return nil, &queue.Denial{Reason: queue.BadPolicy, Authentic: true}
	}
	return p, nil
}

// judge keeps what the policy says of the script, or says why it denies it.
func (r *request) judge(script []byte) *queue.Denial {
	p, d := r.q.policy()
	if d != nil {
		r.judged = judged{}
		return d
	}
	r.judged = judged{Decision: p.Decide(script), hash: p.Hash()}
	r.judged.Rule = queue.Plain(r.judged.Rule, maxRule)
	if r.judged.Verdict == policy.Allow || r.judged.Verdict == policy.Ask {
		return nil
	}
	return &queue.Denial{Reason: r.judged.Reason, Authentic: true}
}

// judgeAgain is for a policy that was edited after it let the request go on:
// the new one counts, unless a person has approved these very bytes.
func (r *request) judgeAgain(ctx context.Context) *queue.Denial {
	p, d := r.q.policy()
	if d != nil {
		return d
	}
	if p.Hash() == r.judged.hash {
		return nil
	}
	script, release, err := r.script(ctx)
	if err != nil {
		return notReady(err)
	}
	defer release()
	if d := r.judge(script); d != nil {
		return d
	}
	if r.judged.Verdict == policy.Ask && r.decided == nil {
		return &queue.Denial{Reason: queue.NoApprover, Detail: "the policy was changed in the meantime; submit it again", Authentic: true}
	}
	return nil
}

// limits are the settings with what the qube's policy narrows. A policy that
// cannot be used denies everything anyway.
func (q *qube) limits() settings.Settings {
	set := q.x.settings()
	p, err := policy.Load(q.x.o.Root.Keys(), q.name)
	if err != nil {
		return set
	}
	l := p.Limits()
	narrow(&set.MaxScript, l.MaxBody)
	narrow(&set.MaxStdin, l.MaxStdin)
	narrow(&set.MaxTimeout, int64(l.MaxTimeout))
	narrow(&set.MaxPending, int64(l.Pending))
	narrow(&set.PerQube, int64(l.Running))
	narrow(&set.Requests, int64(l.RequestsPerMinute))
	narrow(&set.SuspendAfter, int64(l.SuspendAfter))
	return set
}

// narrow makes a limit smaller if there is another; 0 is none.
func narrow(limit *int64, to int64) {
	if to > 0 && (*limit == 0 || to < *limit) {
		*limit = to
	}
}
