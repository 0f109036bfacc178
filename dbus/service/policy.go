package service

import (
	"context"

	"qvmremote/queue"
)

const maxWords = 100 // of one command that an explanation shows

// GetPolicy reads the rules of a qube.
func (m manager) GetPolicy(_ context.Context, c caller, vm string) (text, hash, wrong string, limits, rules, warnings []string, err error) {
	r, err := m.s.admin(c).Rules(vm)
	if err != nil {
		return "", "", "", nil, nil, nil, err
	}
	if r.Err != nil {
		wrong = shown(r.Err.Error())
	}
	return r.Text, r.Hash, wrong, sentences(r.Policy.Limits().Strings()), sentences(r.Policy.Rules()), sentences(r.Policy.Warnings()), nil
}

// SetPolicy replaces the rules of a qube.
func (m manager) SetPolicy(ctx context.Context, c caller, vm, text, replaces string) ([]string, error) {
	ch, err := m.s.admin(c).SetRules(ctx, vm, text, replaces)
	_, warnings, err := m.changed(ch, err)
	return warnings, err
}

// explained is a command, or a script, and what the rules say to it.
type explained struct {
	Words                 []string
	Verdict, Reason, Rule string
	Steps                 []step
}

type step struct {
	Matched   bool
	Rule, Why string
}

// ExplainRequest says what would become of a request.
func (m manager) ExplainRequest(_ context.Context, c caller, vm, draft, script string) (verdict, reason, rule, obstacle string, parts []explained, more uint64, err error) {
	e, err := m.s.admin(c).Explain(vm, draft, []byte(script))
	if err != nil {
		return "", "", "", "", nil, 0, err
	}
	parts = []explained{}
	for _, p := range e.Parts {
		one := explained{Words: []string{}, Verdict: string(p.Verdict), Reason: string(p.Reason), Rule: shown(p.Rule), Steps: []step{}}
		for _, w := range p.Words[:min(len(p.Words), maxWords)] {
			one.Words = append(one.Words, queue.EscapeASCII(w, maxFilter))
		}
		for _, s := range p.Steps {
			one.Steps = append(one.Steps, step{s.Matched, shown(s.Rule), shown(s.Why)})
		}
		parts = append(parts, one)
	}
	return string(e.Verdict), string(e.Reason), shown(e.Rule), shown(e.Obstacle), parts, uint64(e.More), nil
}
