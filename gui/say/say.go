// Package say is how the desktop programs say what is the same for all of them:
// moments, lengths of time, sizes, sentences, and how good or bad something is.
//
// It guarantees that it knows of nothing that either program shows: neither the
// bus nor a queue.
package say

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Tone says how good or bad something is; it is the CSS class of its colour.
type Tone string

// The tones.
const (
	Good   Tone = "good"
	Bad    Tone = "bad"
	Warn   Tone = "warn"
	Quiet  Tone = "quiet"
	Accent Tone = "accent"
)

// Look is how something is shown: never by its colour alone.
type Look struct {
	Icon string
	Word string
	Tone Tone
}

// As is a look.
func As(icon, word string, tone Tone) Look { return Look{icon, word, tone} }

// Sentence begins text with a capital and ends it with a full stop.
func Sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" {
		return ""
	}
	for _, name := range []string{"qvm-", "dom0"} { // are written so
		if strings.HasPrefix(text, name) {
			return text + stop(text)
		}
	}
	return Capital(text) + stop(text)
}

// Capital begins text with a capital.
func Capital(text string) string {
	r, size := utf8.DecodeRuneInString(text)
	if size == 0 {
		return ""
	}
	return string(unicode.ToUpper(r)) + text[size:]
}

// stop is what text lacks to end as a sentence does.
func stop(text string) string {
	for _, end := range []string{".", "?", "…"} {
		if strings.HasSuffix(text, end) {
			return ""
		}
	}
	return "."
}
