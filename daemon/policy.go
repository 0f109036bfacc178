package daemon

import (
	"context"
	"errors"
	"fmt"
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
	if d := r.tooMuch(p.Limits()); d != nil {
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

// tooMuch denies what is more than the limits are by now: the header was checked
// against those of its day.
func (r *request) tooMuch(l policy.Limits) *queue.Denial {
	for _, c := range []struct {
		what       string
		have, most int64
	}{
		{"timeout", r.header.Timeout, int64(l.MaxTimeout)},
		{"script bytes", r.size, l.MaxBody},
		{"input bytes", r.header.Stdin.Size, l.MaxStdin},
	} {
		if c.most > 0 && c.have > c.most {
			return &queue.Denial{Reason: queue.Limit, Detail: fmt.Sprintf("%s %d, allowed %d by now", c.what, c.have, c.most), Authentic: true}
		}
	}
	return nil
}

// limits are the settings with what the qube's policy narrows. Without one that
// can be used, denial is why no script of the qube may run.
func (q *qube) limits() (set settings.Settings, denial *queue.Denial) {
	set = q.x.settings()
	p, denial := q.policy()
	if denial != nil {
		return set, denial
	}
	l := p.Limits()
	narrow(&set.MaxScript, l.MaxBody)
	narrow(&set.MaxStdin, l.MaxStdin)
	narrow(&set.MaxTimeout, int64(l.MaxTimeout))
	narrow(&set.MaxPending, int64(l.Pending))
	narrow(&set.PerQube, int64(l.Running))
	narrow(&set.Requests, int64(l.RequestsPerMinute))
	narrow(&set.SuspendAfter, int64(l.SuspendAfter))
	return set, nil
}

// bound holds the qube to what may run of it at once. What runs goes on.
func (q *qube) bound() {
	if limits, denial := q.limits(); denial == nil {
		q.x.slots.Bound(q.name, int(limits.PerQube))
	}
}

// narrow makes a limit smaller if there is another; 0 is none.
func narrow(limit *int64, to int64) {
	if to > 0 && (*limit == 0 || to < *limit) {
		*limit = to
	}
}
