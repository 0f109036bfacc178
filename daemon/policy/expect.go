package policy

import (
	"errors"
	"fmt"
	"strings"

	"qvmremote/queue"
)

// Expectation is what somebody wants a policy to say about a script.
type Expectation struct {
	Line    int
	Policy  string // a qube's name, or that of a set
	Set     bool   // it is a set
	Script  string
	Verdict Verdict
}

// Expectations reads a file of them. A line "policy VM" or "set NAME" says which
// policy the lines below it are about; each of those is a verdict and a script,
// which goes on in the lines that begin with a blank.
func Expectations(file string, text []byte) ([]Expectation, error) {
	var list []Expectation
	about := Expectation{}
	for i, line := range strings.Split(string(text), "\n") {
		fault := func(text string) error { return &Error{File: file, Line: i + 1, Column: 1, Text: text} }
		trimmed := strings.Trim(line, " \t\r")
		switch {
		case trimmed == "" || line[0] == '#':
			continue
		case isBlank(line[0]):
			if len(list) == 0 {
				return nil, fault("a script goes on here, but none has begun")
			}
			list[len(list)-1].Script += "\n" + trimmed
			continue
		}
		verb, rest, _ := strings.Cut(trimmed, " ")
		rest = strings.TrimLeft(rest, " \t")
		switch verb {
		case "policy", "set":
			if verb == "policy" && !queue.ValidQube(rest) || verb == "set" && !validInclude(rest) {
				return nil, fault(queue.Quote(rest, 40) + " is not the name of one")
			}
			about = Expectation{Policy: rest, Set: verb == "set"}
		case string(Allow), string(Ask), string(Deny):
			if about.Policy == "" {
				return nil, fault("say before it which policy this is about: policy VM, or set NAME")
			}
			about.Line, about.Verdict, about.Script = i+1, Verdict(verb), rest
			list = append(list, about)
		default:
			return nil, fault("a line begins with policy, set, allow, ask or deny, not with " + queue.Quote(verb, 40))
		}
	}
	if len(list) == 0 {
		return nil, errors.New(file + ": nothing is expected there")
	}
	return list, nil
}

// Met says how the policy falls short of e; "" if it does not.
func (e Expectation) Met(p *Policy) string {
	d := p.Decide([]byte(e.Script))
	if d.Verdict == e.Verdict {
		return ""
	}
	return fmt.Sprintf("line %d: %s: %s is expected, but %s", e.Line, queue.Escape(e.Script, 100), e.Verdict, d)
}

// String says the verdict, and by which rule or for which reason.
func (d Decision) String() string {
	switch {
	case d.Rule != "":
		return fmt.Sprintf("%s by %s", d.Verdict, d.Rule)
	case d.Reason != "":
		return fmt.Sprintf("%s (%s)", d.Verdict, d.Reason)
	}
	return string(d.Verdict)
}

// LoadFor reads the policy that e is about.
func (e Expectation) LoadFor(dir string) (*Policy, error) {
	if !e.Set {
		return Load(dir, e.Policy)
	}
	return Parse("expected", []byte("include "+e.Policy+"\n"), Includes(dir))
}
