// Package policy decides what a qube may have dom0 run, by the rules in the
// file of that qube.
//
// It guarantees:
//   - What no rule names is denied, as is everything where there is no file or
//     where the file has an error: a [Policy] comes from files without one.
//   - A rule about a command counts only for a request that is plain commands:
//     this package knows each program that bash will start for it, with each of
//     its arguments. Two readings of the script, by a scanner that knows nothing
//     but plain commands and by a full parser of bash, must come to the same
//     words; else the request is a script, which only a rule about scripts or
//     about everything matches.
//   - A request is allowed only when every command in it is.
//   - A decision takes a bounded time, whatever the request says.
//   - A Policy never changes, and starts, reads and writes nothing.
package policy

import (
	"crypto/sha256"

	"qvmremote/queue"
)

// Verdict is what a rule says about what it matches.
type Verdict string

// The verdicts.
const (
	Allow Verdict = "allow"
	Ask   Verdict = "ask" // somebody in dom0 decides
	Deny  Verdict = "deny"
)

// Decision is what becomes of a request.
type Decision struct {
	Verdict Verdict
	Reason  queue.Reason // of a Deny
	Rule    string       // "FILE:LINE: TEXT" of the rule that decided, fit to be shown; "" where none did
}

// Policy is what the rules of one qube say. Many may use it at once.
type Policy struct {
	rules    []*rule
	limits   Limits
	hash     string
	hashes   bool // some rule names a script by its hash
	analyser *analyser
}

// Decide says what becomes of a request with this script. Without a policy
// everything is denied.
func (p *Policy) Decide(script []byte) Decision {
	if p == nil {
		return Decision{Verdict: Deny, Reason: queue.NoPolicy}
	}
	var sum digest
	if p.hashes {
		sum = sha256.Sum256(script)
	}
	commands, _ := p.analyser.plain(script)
	if len(commands) == 0 {
		return decision(p.first(subject{sum: sum}))
	}
	worst := Decision{Verdict: Allow}
	for i, words := range commands {
		d := decision(p.first(subject{sum: sum, words: words}))
		if d.Verdict == Deny {
			return d
		}
		if i == 0 || d.Verdict == Ask && worst.Verdict == Allow {
			worst = d
		}
	}
	return worst
}

// first finds the first rule that matches s, nil when there is none.
func (p *Policy) first(s subject) *rule {
	for _, r := range p.rules {
		if r.matches(s) {
			return r
		}
	}
	return nil
}

func decision(r *rule) Decision {
	switch {
	case r == nil:
		return Decision{Verdict: Deny, Reason: queue.NoRule}
	case r.verdict == Deny:
		return Decision{Verdict: Deny, Reason: queue.PolicyDenied, Rule: r.name}
	}
	return Decision{Verdict: r.verdict, Rule: r.name}
}

// Rules lists the rules, each with its place, in the order in which they are
// held against a request.
func (p *Policy) Rules() []string {
	if p == nil {
		return nil
	}
	var list []string
	for _, r := range p.rules {
		list = append(list, r.name)
	}
	return list
}

// Limits are those that the files set; what they do not set is zero.
func (p *Policy) Limits() Limits {
	if p == nil {
		return Limits{}
	}
	return p.limits
}

// Hash is the same for two policies that were read from the same files.
func (p *Policy) Hash() string {
	if p == nil {
		return ""
	}
	return p.hash
}
