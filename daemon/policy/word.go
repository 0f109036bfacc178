package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// wordReader reads the words of one line of a policy.
type wordReader struct {
	line string
	at   int // bytes read
}

// skipBlanks reports whether a word follows.
func (r *wordReader) skipBlanks() bool {
	for r.at < len(r.line) && isBlank(r.line[r.at]) {
		r.at++
	}
	return r.at < len(r.line) && r.line[r.at] != '#'
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// bareWord reads up to the next blank.
func (r *wordReader) bareWord() string {
	start := r.at
	for r.at < len(r.line) && !isBlank(r.line[r.at]) {
		r.at++
	}
	return r.line[start:r.at]
}

// pattern reads one word of a rule. After an error, at is where it is.
func (r *wordReader) pattern() (pattern, error) {
	start := r.at
	alts, err := r.sequences(" \t")
	if err != nil {
		return pattern{}, err
	}
	p := pattern{text: r.line[start:r.at]}
	for _, s := range alts {
		s = s.joined()
		if len(s) > maxParts {
			r.at = start
			return pattern{}, fmt.Errorf("the word has more than %d parts", maxParts)
		}
		p.alts = append(p.alts, s)
	}
	if p.exact = len(p.alts) == 1 && p.alts[0].exact(); p.exact {
		p.only = p.alts[0][0].text
	}
	return p, nil
}

// sequences reads up to one of the ends, or the end of the line, and returns
// what the sets before it unfold to.
func (r *wordReader) sequences(ends string) ([]sequence, error) {
	if s, ok, err := r.span(ends); ok || err != nil {
		return []sequence{s}, err
	}
	alts := []sequence{nil}
	for r.at < len(r.line) && strings.IndexByte(ends, r.line[r.at]) < 0 {
		more, err := r.piece(ends)
		if err != nil {
			return nil, err
		}
		if len(alts)*len(more) > maxAlternatives {
			return nil, fmt.Errorf("the sets of this word have more than %d choices", maxAlternatives)
		}
		var next []sequence
		for _, a := range alts {
			for _, m := range more {
				next = append(next, append(a[:len(a):len(a)], m...))
			}
		}
		alts = next
	}
	return alts, nil
}

// span reads LOW..HIGH, if that is all there is before one of the ends.
func (r *wordReader) span(ends string) (sequence, bool, error) {
	text := r.line[r.at:]
	if i := strings.IndexAny(text, ends); i >= 0 {
		text = text[:i]
	}
	low, high, ok := strings.Cut(text, "..")
	if !ok || low == "" || high == "" || strings.Trim(low+high, "0123456789") != "" {
		return nil, false, nil
	}
	p := part{what: span}
	var err error
	if p.low, err = number(low); err == nil {
		p.high, err = number(high)
	}
	if err == nil && p.low > p.high {
		err = fmt.Errorf("no number is from %s to %s", low, high)
	}
	if err != nil {
		return nil, false, err
	}
	r.at += len(text)
	return sequence{p}, true, nil
}

func number(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || len(s) > maxDigits || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%s is not a number of at most %d digits without a zero before it", s, maxDigits)
	}
	return n, nil
}

// piece reads a character, a wildcard, what stands in quotes, or a set.
func (r *wordReader) piece(ends string) ([]sequence, error) {
	c := r.line[r.at]
	switch {
	case c == '\'' || c == '"':
		return r.quoted(c)
	case c == '{' && strings.Contains(ends, "}"):
		return nil, errors.New("a set within a set")
	case c == '{':
		return r.set()
	case strings.HasPrefix(r.line[r.at:], "***"):
		return nil, errors.New("'***'; '*' is within one part of a path, '**' anything")
	case strings.HasPrefix(r.line[r.at:], "**"):
		r.at += 2
		return []sequence{{{what: anything}}}, nil
	case c == '*':
		r.at++
		return []sequence{{{what: some}}}, nil
	case c == '?':
		r.at++
		return []sequence{{{what: one}}}, nil
	case !bare(c) && c != '#':
		return nil, fmt.Errorf("%s here; a rule is about one command, and such a character stands in quotes", special(c))
	}
	r.at++
	return []sequence{{{what: literal, text: string(c)}}}, nil
}

func (r *wordReader) quoted(q byte) ([]sequence, error) {
	end := strings.IndexByte(r.line[r.at+1:], q)
	if end < 0 {
		return nil, errors.New("a quote that is not closed in this line")
	}
	text := r.line[r.at+1 : r.at+1+end]
	for i := range len(text) {
		switch {
		case !visible(text[i]):
			r.at += 1 + i
			return nil, errors.New(notVisible + ", which no command can have")
		case q == '"' && strings.IndexByte("$`\\", text[i]) >= 0: // a shell would not take it as it is
			r.at += 1 + i
			return nil, fmt.Errorf("'%c' stands in single quotes", text[i])
		}
	}
	r.at += end + 2
	return []sequence{{{what: literal, text: text}}}, nil
}

// set reads {A,B,C}.
func (r *wordReader) set() ([]sequence, error) {
	open := r.at
	var all []sequence
	for {
		r.at++ // the brace, or a comma
		start := r.at
		alts, err := r.sequences(",} \t")
		if err != nil {
			return nil, err
		}
		if r.at == start {
			return nil, errors.New("a choice of the set is missing; '' is the empty one")
		}
		all = append(all, alts...)
		if r.at >= len(r.line) || isBlank(r.line[r.at]) {
			r.at = open
			return nil, errors.New("a set that is not closed, or with a blank that is not in quotes")
		}
		if len(all) > maxAlternatives {
			return nil, fmt.Errorf("the set has more than %d choices", maxAlternatives)
		}
		if r.line[r.at] == '}' {
			r.at++
			return all, nil
		}
	}
}

// joined puts literals that follow one another together and leaves out those
// that are empty, so that a word which begins with a wildcard is seen to; nothing
// at all is the empty literal.
func (s sequence) joined() sequence {
	var out sequence
	for _, p := range s {
		if p.what == literal && p.text == "" {
			continue
		}
		if n := len(out); p.what == literal && n > 0 && out[n-1].what == literal {
			out[n-1].text += p.text
			continue
		}
		out = append(out, p)
	}
	if len(out) == 0 {
		return sequence{{what: literal}}
	}
	return out
}
