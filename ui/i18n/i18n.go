// Package i18n says in the person's language what the desktop programs say in
// English, by gettext's catalogues.
//
// It guarantees that a message without a translation is shown in English in
// place of nothing, that the language is chosen once, when the first message is
// said, and that a translation is only ever a format for what the program fills
// in: a qube's bytes are arguments, never messages. It knows nothing of GTK.
//
// The messages are found in the source by package resources/po, so what [T], [N]
// and [C] are given is a literal, or literals joined by +.
package i18n

import (
	"fmt"
	"os"
	"sync"

	"github.com/leonelquinteros/gotext"
)

// A Catalogue is the messages of one language. Its zero value is English.
type Catalogue struct {
	language string
	messages *gotext.Mo
}

// ours is the language of whoever started this program.
var ours = sync.OnceValue(func() Catalogue {
	c, err := Find(os.Getenv, here())
	if err != nil {
		fmt.Fprintf(os.Stderr, "qvm-remote: going on in English: %v\n", err)
	}
	return c
})

// T is a message, filled in as by [fmt.Sprintf] where there are args.
func T(message string, args ...any) string { return ours().T(message, args...) }

// C is [T] for a message whose translation hangs on where it stands, which
// context says to the translator.
func C(context, message string, args ...any) string { return ours().C(context, message, args...) }

// N is the message for n things: one is for a single one in English, many for
// any other number; a language may have more forms. Args fill in either.
func N(n int, one, many string, args ...any) string { return ours().N(n, one, many, args...) }

// Known is [T] for a sentence that a package says in English which knows of no
// language, as queue and client, where resources/po has it translated; any other
// text is what it was.
func Known(sentence string) string { return ours().T(sentence, []any{}...) }

// Language is the language that its messages are in, such as "de", or "en".
func (c Catalogue) Language() string {
	if c.messages == nil {
		return "en"
	}
	return c.language
}

// T is [T] of this catalogue.
func (c Catalogue) T(message string, args ...any) string {
	if c.messages == nil || message == "" { // which would be the catalogue's header
		return fill(message, args...)
	}
	return c.messages.Get(message, args...)
}

// C is [C] of this catalogue.
func (c Catalogue) C(context, message string, args ...any) string {
	if c.messages == nil || message == "" {
		return fill(message, args...)
	}
	return c.messages.GetC(message, context, args...)
}

// N is [N] of this catalogue.
func (c Catalogue) N(n int, one, many string, args ...any) string {
	if c.messages != nil {
		return c.messages.GetN(one, many, n, args...)
	}
	if n == 1 {
		return fill(one, args...)
	}
	return fill(many, args...)
}

func fill(message string, args ...any) string {
	if len(args) == 0 {
		return message
	}
	return fmt.Sprintf(message, args...)
}
