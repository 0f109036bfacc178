// Package pieces cuts text into rows that a list can show, and gathers what a
// program writes in such rows, as fast as it comes.
//
// It guarantees that a row has nothing in it that cannot be seen and is never
// longer than [Length], that no escape is split between two, and that what is
// kept of a program's output is bounded. It knows nothing of GTK.
package pieces

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// Length is how many characters one row has at most: a line of a megabyte in one
// label would stop a program for seconds.
const Length = 400

// anEscape is what [queue.Escape] makes of what cannot be seen.
var anEscape = regexp.MustCompile(`^\\(\\|x[0-9a-f]{2}|u\{[0-9a-f]{1,6}\})`)

// Cut is the beginning of s, at most [Length] characters and whole escapes.
func Cut(s string) string {
	if len(s) <= Length { // no character is shorter than a byte, no escape than it is wide
		return s
	}
	characters := Length
	n := 0
	for n < len(s) {
		_, size := utf8.DecodeRuneInString(s[n:])
		width := 1
		if s[n] == '\\' {
			if e := anEscape.FindString(s[n:]); e != "" {
				size, width = len(e), len(e)
			}
		}
		if characters -= width; characters < 0 {
			break
		}
		n += size
	}
	return s[:n]
}

// Of is a text in pieces, at most max of them, of lines that show has made fit to
// be shown; whole is false where there would be more.
func Of(text string, max int, show func(line string) string) (all []string, whole bool) {
	for line := range strings.Lines(text) {
		all = appendCut(all, show(strings.TrimSuffix(line, "\n")), true) // a \r before it is a byte as any other
		if len(all) > max {
			return all[:max], false
		}
	}
	return all, true
}

// appendCut appends a line in pieces; an empty one is a piece where it is whole.
func appendCut(to []string, line string, whole bool) []string {
	for first := whole; first || line != ""; first = false {
		part := Cut(line)
		to = append(to, part)
		line = line[len(part):]
	}
	return to
}
