package policy

import (
	"crypto/sha256"
	"fmt"

	"qvmremote/queue"
)

// maxSteps bounds what an explanation says: one that is longer is read by nobody.
const maxSteps = 2000

// Explanation is a decision with all that led to it.
type Explanation struct {
	Decision
	Obstacle string   // why the request is a script; "" where it is plain commands
	Parts    []Judged // each command of it, or the script as one, up to a bound on all their steps
	More     int      // commands that are not in Parts
}

// Judged is a command, or a script, and what the rules say to it.
type Judged struct {
	Words []string // nil: a script
	Decision
	Steps []Step // the rules, up to the one that decided
}

// Step is one rule held against one command or script.
type Step struct {
	Rule    string
	Matched bool
	Why     string // for people
}

// Explain decides as [Policy.Decide] does, and says why.
func (p *Policy) Explain(script []byte) Explanation {
	e := Explanation{Decision: p.Decide(script)}
	if p == nil {
		return e
	}
	commands, o := p.analyser.plain(script)
	if o != nil {
		e.Obstacle = o.Error()
		commands = [][]string{nil}
	}
	sum := digest(sha256.Sum256(script))
	steps := 0
	for i, words := range commands {
		if steps >= maxSteps {
			e.More = len(commands) - i
			break
		}
		j := p.judge(subject{sum: sum, words: words})
		e.Parts, steps = append(e.Parts, j), steps+len(j.Steps)+1
	}
	return e
}

func (p *Policy) judge(s subject) Judged {
	found := p.first(s)
	j := Judged{Words: s.words, Decision: decision(found)}
	for _, r := range p.rules {
		j.Steps = append(j.Steps, Step{Rule: r.name, Matched: r == found, Why: r.why(s)})
		if r == found {
			break
		}
	}
	return j
}

// why says why the rule matches s, or why not.
func (r *rule) why(s subject) string {
	matched := r.matches(s)
	switch r.kind {
	case aboutEverything:
		return "it is about everything"
	case aboutScript:
		if matched {
			return "this is a script"
		}
		return "these are plain commands, and it is about scripts"
	case aboutHash:
		if matched {
			return "this request has that hash"
		}
		return fmt.Sprintf("this request has the hash %x", s.sum)
	}
	if s.words == nil {
		return "it is about a command, and this is a script"
	}
	wide := r.verdict == Deny
	for i, p := range r.words {
		if i == len(s.words) {
			return fmt.Sprintf("the command ends before a word for %s", queue.Escape(p.text, 60))
		}
		if !p.matches(s.words[i], wide) {
			return fmt.Sprintf("%s is not %s%s", queue.Quote(s.words[i], 60), queue.Escape(p.text, 60), p.hint(s.words[i]))
		}
	}
	if !matched {
		return fmt.Sprintf("%s is one word more", queue.Quote(s.words[len(r.words)], 60))
	}
	return "every word matches"
}

// hint says what keeps a word out that the pattern seems to describe.
func (p *pattern) hint(word string) string {
	switch {
	case !p.matches(word, true):
		return ""
	case word != "" && word[0] == '-':
		return " (a wildcard at the beginning stands for no option)"
	case climbs(word):
		return " (a wildcard stands for no '..')"
	case word == "":
		return " (a wildcard does not stand for an empty word)"
	}
	return " ('*' and '?' stand for no '/')"
}
