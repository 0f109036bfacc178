//go:build gtk

package ui

import (
	"unicode/utf8"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/queue"
)

// Say says what happened, or what went wrong, for a while. The text may hold
// names from anywhere; it is text, and what cannot be seen is an escape.
func (w *Shell) Say(text string) { w.Toasts.AddToast(w.PlainToast(text)) }

// PlainToast is a toast that says a text, as [Shell.Say] does.
func (w *Shell) PlainToast(text string) *adw.Toast { return newToast(text, w.narrow()) }

// oneLine is how long a text, in characters, stays in one line beside a button in
// a window of 360 pixels: GTK would rather have two short lines.
const oneLine = 22

// newToast makes one that says all of the text, in as many lines as it takes, and
// for as long as one reads.
func newToast(text string, narrow bool) *adw.Toast {
	text = queue.Plain(text, 1000)
	label := NewLabel(text)
	label.SetWrap(true)
	label.SetWrapMode(pango.WrapWordChar)
	columns := 60
	if narrow { // libadwaita gives a toast the height for the width it would like
		columns = 30
	}
	label.SetMaxWidthChars(columns)
	label.SetWidthChars(min(utf8.RuneCountInString(text), oneLine))
	toast := adw.NewToast("")
	toast.SetObjectProperty("custom-title", label) // since libadwaita 1.2; its own title is one line
	toast.SetTimeout(uint(6 + utf8.RuneCountInString(text)/30))
	return toast
}
