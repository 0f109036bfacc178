package policy

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
	"unicode/utf8"

	"qvmremote/queue"
)

// Bounds of the files of one policy.
const (
	MaxFile     = 64 << 10 // bytes of one
	maxIncludes = 16
	maxRules    = 1000
	maxShown    = 200 // characters of a rule where it is named
)

// Error says what is wrong in a file, and where. Line and Column count from 1
// and are 0 where the file itself is wrong.
type Error struct {
	File         string
	Line, Column int
	Text         string
}

// Error names the place as compilers do.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
}

// Parse reads a policy from its text. The rules of an included file stand in
// the place of the line that names it; include returns its text.
func Parse(name string, text []byte, include func(name string) ([]byte, error)) (*Policy, error) {
	r := &reader{policy: &Policy{analyser: newAnalyser()}, include: include, seen: map[string]bool{}, limits: map[string]string{}, sum: sha256.New()}
	if err := r.file(name, text); err != nil {
		return nil, err
	}
	r.policy.hash = hex.EncodeToString(r.sum.Sum(nil))
	return r.policy, nil
}

// reader reads a policy and the files it includes.
type reader struct {
	policy  *Policy
	include func(name string) ([]byte, error)
	seen    map[string]bool   // included files
	limits  map[string]string // where each was set
	sum     hash.Hash
}

func (r *reader) file(name string, text []byte) error {
	fmt.Fprintf(r.sum, "%q %d\n", name, len(text))
	r.sum.Write(text)
	if len(text) > MaxFile {
		return &Error{File: name, Text: fmt.Sprintf("longer than %d bytes", MaxFile)}
	}
	lines := strings.Split(string(text), "\n")
	for i, line := range lines {
		at, err := r.line(name, i+1, strings.TrimSuffix(line, "\r"))
		if inside, ok := err.(*Error); ok {
			return inside // it has its place, in an included file
		}
		if err != nil {
			return &Error{File: name, Line: i + 1, Column: at + 1, Text: err.Error()}
		}
	}
	if last := len(lines); lines[last-1] != "" {
		return &Error{File: name, Line: last, Column: len(lines[last-1]) + 1, Text: "the last line has no newline at its end; it may be half of what was meant"}
	}
	return nil
}

// line reads one line; at is where in it an error is.
func (r *reader) line(file string, number int, line string) (at int, err error) {
	if i := unfit(line); i >= 0 {
		return i, errors.New("a character that cannot be seen, or bytes that are not UTF-8")
	}
	w := &wordReader{line: line}
	if !w.skipBlanks() {
		return 0, nil
	}
	start := w.at
	switch verb := w.bareWord(); verb {
	case string(Allow), string(Ask), string(Deny):
		rule := &rule{file: file, line: number, text: strings.Trim(line, " \t"), verdict: Verdict(verb)}
		rule.name = fmt.Sprintf("%s:%d: %s", file, number, queue.Plain(strings.ReplaceAll(rule.text, "\t", " "), maxShown))
		if err := rule.read(w); err != nil {
			return w.at, err
		}
		if len(r.policy.rules) == maxRules {
			return start, fmt.Errorf("more than %d rules", maxRules)
		}
		r.policy.rules = append(r.policy.rules, rule)
		r.policy.hashes = r.policy.hashes || rule.kind == aboutHash
		return 0, nil
	case "limit":
		return w.at, r.limit(w, fmt.Sprintf("%s:%d", file, number))
	case "include":
		return w.at, r.includeFile(w)
	default:
		return start, fmt.Errorf("a line begins with allow, ask, deny, limit or include, not with %s; a comment begins with '#'", queue.Quote(verb, 40))
	}
}

// unfit returns where in the line a character is that nobody can see, -1 if
// there is none.
func unfit(line string) int {
	for i, c := range line {
		if c != '\t' && (c == utf8.RuneError || c != '\\' && queue.Escape(string(c), 0) != string(c)) {
			return i
		}
	}
	return -1
}

// limit reads NAME VALUE.
func (r *reader) limit(w *wordReader, where string) error {
	if !w.skipBlanks() {
		return errors.New("a limit has a name and a value")
	}
	name := w.bareWord()
	if !w.skipBlanks() {
		return errors.New("a limit has a name and a value")
	}
	value := w.bareWord()
	if first, twice := r.limits[name]; twice {
		return fmt.Errorf("limit %s is set a second time, first in %s", queue.Escape(name, 40), first)
	}
	r.limits[name] = where
	if err := r.policy.limits.set(name, value); err != nil {
		return fmt.Errorf("limit %s: %w", queue.Escape(name, 40), err)
	}
	return w.end()
}

// includeFile reads NAME, and the file.
func (r *reader) includeFile(w *wordReader) error {
	if !w.skipBlanks() {
		return errors.New("include names a file")
	}
	name := w.bareWord()
	if err := w.end(); err != nil {
		return err
	}
	switch {
	case !validInclude(name):
		return fmt.Errorf("%s is not the name of a set (letters, digits, '_', '-', '.', no path)", queue.Quote(name, 40))
	case r.seen[name]:
		return fmt.Errorf("%s is included a second time", name)
	case len(r.seen) == maxIncludes:
		return fmt.Errorf("more than %d files are included", maxIncludes)
	case r.include == nil:
		return errors.New("nothing can be included here")
	}
	r.seen[name] = true
	text, err := r.include(name)
	if err != nil {
		return fmt.Errorf("cannot include %s: %w", name, err)
	}
	return r.file(name, text)
}

// validInclude reports whether name is a file's name and no path.
func validInclude(name string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	return name != "" && len(name) <= 64 && strings.Trim(name, letters+"_-.") == "" && strings.IndexByte(letters, name[0]) >= 0
}

// end says that nothing may follow.
func (r *wordReader) end() error {
	if r.skipBlanks() {
		return errors.New("more than belongs here")
	}
	return nil
}

const hashPrefix = "sha256:"

// read reads what a rule is about.
func (r *rule) read(w *wordReader) error {
	if !w.skipBlanks() {
		return errors.New("what is this rule about? A command, 'script', 'sha256:HASH', or '**' for everything")
	}
	start := w.at
	first := w.bareWord()
	hex, isHash := strings.CutPrefix(first, hashPrefix)
	switch {
	case first == "**":
		r.kind = aboutEverything
	case first == "script":
		r.kind = aboutScript
	case isHash:
		r.kind = aboutHash
	default:
		w.at = start
		return r.command(w)
	}
	if w.skipBlanks() {
		return fmt.Errorf("%s stands alone; for a command of that name, put it in quotes", queue.Quote(first, 40))
	}
	if isHash {
		w.at = start
		return r.digest(hex)
	}
	return nil
}

func (r *rule) digest(text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(r.sum) || strings.ToLower(text) != text {
		return errors.New("not 'sha256:' and 64 of 0-9 and a-f, as sha256sum prints them")
	}
	copy(r.sum[:], b)
	return nil
}

// command reads the words of one.
func (r *rule) command(w *wordReader) error {
	for w.skipBlanks() {
		if r.rest {
			return errors.New("'**' is the rest of the command, so nothing follows it")
		}
		start := w.at
		if w.bareWord() == "**" {
			r.rest = true
			continue
		}
		w.at = start
		p, err := w.pattern()
		if err != nil {
			return err
		}
		r.words = append(r.words, p)
	}
	return nil
}
