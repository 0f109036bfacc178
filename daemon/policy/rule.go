package policy

import (
	"crypto/sha256"
)

// digest is a SHA-256.
type digest [sha256.Size]byte

// kind is what a rule is about.
type kind int

const (
	aboutCommand    kind = iota // one command, by its words
	aboutHash                   // one request, by its hash
	aboutScript                 // every request that is not plain commands
	aboutEverything             // every request
)

// subject is what a rule is held against: one command of a request, or all of a
// request that is not plain commands.
type subject struct {
	sum   digest
	words []string // nil: not plain commands
}

// rule is one line of a policy.
type rule struct {
	file    string
	line    int
	text    string // the line, without blanks around it
	name    string // FILE:LINE: TEXT, fit to be shown
	verdict Verdict
	kind    kind
	words   []pattern
	rest    bool // of a command: more words, of any kind, may follow
	sum     digest
}

func (r *rule) matches(s subject) bool {
	switch r.kind {
	case aboutEverything:
		return true
	case aboutScript:
		return s.words == nil
	case aboutHash:
		return r.sum == s.sum
	}
	if len(s.words) < len(r.words) || len(s.words) > len(r.words) && !r.rest {
		return false
	}
	wide := r.verdict == Deny
	for i := range r.words {
		if !r.words[i].matches(s.words[i], wide) {
			return false
		}
	}
	return true
}
