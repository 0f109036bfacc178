package queue

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Escape makes any bytes fit to be shown on one line of a terminal or a log:
// what is not a visible character (controls, C1, line separators, bidirectional
// and zero-width characters, invisible fillers, bytes that are not UTF-8)
// becomes \xNN for a byte or \u{NN} for a rune, all else stays as it is.
//
// The result is at most max characters, the last one "…" when something was
// left out; max ≤ 0 means no bound. No escape is ever split. Unless it was
// cut, the result tells what s was: a backslash is doubled where it could be
// taken for the beginning of an escape.
func Escape(s string, max int) string { return escape(s, max, false, false) }

// EscapeASCII is [Escape] with every character above ~ as \u{NN} as well: for a
// script that somebody is to judge, where letters that look like others, are
// written from right to left or stand on top of others show what is not there.
func EscapeASCII(s string, max int) string { return escape(s, max, false, true) }

// Quote is [Escape] between double quotes, which do not count towards max;
// a double quote in s becomes \", so that the first other one ends the text.
func Quote(s string, max int) string { return `"` + escape(s, max, true, false) + `"` }

// Plain is [Escape] for a line of our own that may quote text which was escaped
// where it came in: a line that is fit to be shown stays as it is, its
// backslashes too, so that nothing is escaped twice.
func Plain(s string, max int) string {
	escaped := Escape(s, max)
	if strings.ReplaceAll(escaped, `\\`, `\`) == s {
		return s
	}
	return escaped
}

func escape(s string, max int, quoted, ascii bool) string {
	if max == 0 && unchanged(s, quoted) {
		return s
	}
	var b strings.Builder
	width := 0 // characters in b
	fits := 0  // bytes of b that leave room for "…"
	for len(s) > 0 {
		text, size := piece(s, quoted, ascii)
		s = s[size:]
		if text == `\` && ambiguous(s, quoted, ascii) {
			text = `\\`
		}
		width += utf8.RuneCountInString(text)
		if max > 0 && width > max {
			return b.String()[:fits] + "…"
		}
		b.WriteString(text)
		if width < max {
			fits = b.Len()
		}
	}
	return b.String()
}

// unchanged reports whether s is ASCII that stands for itself, as most output is:
// megabytes of it come in a second.
func unchanged(s string, quoted bool) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '\\' || c == '"' && quoted {
			return false
		}
	}
	return true
}

// piece returns what the first character of s is shown as, and its bytes in s.
func piece(s string, quoted, ascii bool) (string, int) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return fmt.Sprintf(`\x%02x`, s[0]), 1
	case r == '"' && quoted:
		return `\"`, 1
	case visible(r) && (!ascii || r <= '~'):
		return s[:size], size
	case r < utf8.RuneSelf:
		return fmt.Sprintf(`\x%02x`, r), 1
	}
	return fmt.Sprintf(`\u{%x}`, r), size
}

// ambiguous reports whether a single backslash before rest could be read as
// the beginning of an escape.
func ambiguous(rest string, quoted, ascii bool) bool {
	if rest == "" {
		return quoted // it would swallow the closing quote
	}
	next, _ := piece(rest, quoted, ascii)
	return next[0] == '\\' || next[0] == 'x' || next[0] == 'u'
}

// visible reports whether r can be seen and leaves its neighbours in place.
func visible(r rune) bool {
	const brailleBlank = '\u2800'
	return unicode.IsPrint(r) && r != brailleBlank &&
		!unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}
