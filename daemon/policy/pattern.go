package policy

import "strings"

// Bounds of one word of a rule, so that matching takes a bounded time.
const (
	maxAlternatives = 256  // that its sets unfold to
	maxParts        = 32   // of one of them
	maxMatched      = 4096 // bytes of a word that anything but the word itself can match
)

// pattern is one word of a rule: the alternatives that its sets unfold to.
type pattern struct {
	text string // as it was written
	only string // the one word that can match, where exact says so
	alts []sequence

	exact bool
}

// sequence is what a word must be, part after part.
type sequence []part

type part struct {
	what what
	text string // of a literal
	low  int64  // of a span of numbers
	high int64
}

type what int

const (
	literal  what = iota
	one           // ?: one character, not '/'
	some          // *: any characters but '/'
	anything      // ** inside a word: any characters
	span          // LOW..HIGH: a number in its shortest decimal form; where wide, what is no such number outside
)

func (s sequence) exact() bool { return len(s) == 1 && s[0].what == literal }

// matches reports whether the word is one that the pattern describes. What is
// not written out in a rule is narrow where the rule lets something through:
// it stands for no option, for no ".." of a path, and for nothing at all only
// within a word. Where the rule denies it is wide, and matches every word that
// is too long to be held against it.
func (p *pattern) matches(word string, wide bool) bool {
	if p.exact {
		return p.only == word
	}
	for _, s := range p.alts {
		if s.exact() {
			if s[0].text == word {
				return true
			}
			continue
		}
		if len(word) > maxMatched {
			if wide {
				return true
			}
			continue
		}
		if (wide || s.permits(word)) && s.match(word, wide) {
			return true
		}
	}
	return false
}

// permits reports whether the word is none of those that a wildcard must not
// stand for where a rule lets something through.
func (s sequence) permits(word string) bool {
	switch {
	case word == "":
		return false
	case word[0] == '-' && s[0].what != literal:
		return false
	}
	return !climbs(word)
}

// climbs reports whether ".." is a part of the path that word may be, also of
// one behind a '='.
func climbs(word string) bool {
	if !strings.Contains(word, "..") {
		return false
	}
	for _, piece := range strings.FieldsFunc(word, func(r rune) bool { return r == '/' || r == '=' || r == ':' || r == ',' }) {
		if piece == ".." {
			return true
		}
	}
	return false
}

// match holds the parts against the word, all readings of the wildcards at
// once: ends is the set of places in the word where the parts so far can end.
func (s sequence) match(word string, wide bool) bool {
	if s[0].what == literal && !strings.HasPrefix(word, s[0].text) {
		return false
	}
	var room [2 * 64]bool // most words are short
	n := len(word) + 1
	places := room[:]
	if 2*n > len(room) {
		places = make([]bool, 2*n)
	}
	ends, next := places[:n], places[n:2*n]
	ends[0] = true
	for i := range s {
		clear(next)
		s[i].advance(word, ends, next, wide)
		ends, next = next, ends
	}
	return ends[len(word)]
}

// advance sets in next where the part can end that begins where from says.
func (p *part) advance(word string, from, next []bool, wide bool) {
	open := false      // a wildcard reaches here
	every := len(next) // from here on the part can end everywhere
	for i := range from {
		switch p.what {
		case some, anything:
			open = open || from[i]
			next[i] = open
			if p.what == some && !wide && i < len(word) && word[i] == '/' {
				open = false
			}
			continue
		}
		if !from[i] {
			continue
		}
		switch p.what {
		case literal:
			if strings.HasPrefix(word[i:], p.text) {
				next[i+len(p.text)] = true
			}
		case one:
			if i < len(word) && (wide || word[i] != '/') {
				next[i+1] = true
			}
		case span:
			if wide {
				every = min(every, p.notOutside(word, i, next))
			} else {
				p.numbers(word[i:], next[i:])
			}
		}
	}
	for i := every; i < len(next); i++ {
		next[i] = true
	}
}

// maxDigits keeps a number below 2^63.
const maxDigits = 18

// numbers sets in next where a number of the span can end that rest begins with.
func (p *part) numbers(rest string, next []bool) {
	var n int64
	for i := 0; i < len(rest) && i < maxDigits; i++ {
		c := rest[i]
		if c < '0' || c > '9' {
			return
		}
		n = n*10 + int64(c-'0')
		if n >= p.low && n <= p.high {
			next[i+1] = true
		}
		if n == 0 {
			return // no zero before a number: some programs read octal
		}
	}
}

// notOutside sets in next where a text can end that begins at i and is no number
// outside the span: a program may read 0100, +100 or 1_00 as one that is inside.
// It returns the first place from which on every text is like that.
func (p *part) notOutside(word string, i int, next []bool) (open int) {
	next[i] = true
	var n int64
	for j := i; j < len(word); j++ {
		c := word[j]
		if c < '0' || c > '9' || j-i == maxDigits || j > i && word[i] == '0' {
			return j + 1
		}
		if n = n*10 + int64(c-'0'); n >= p.low && n <= p.high {
			next[j+1] = true
		}
	}
	return len(next)
}
