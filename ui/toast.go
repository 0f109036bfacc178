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

// newToast makes one that says all of the text, in as many lines as it takes, and
// for as long as one reads.
func newToast(text string, narrow bool) *adw.Toast {
	text = queue.Plain(text, 1000)
	label := NewLabel(text)
	label.SetWrap(true)
	label.SetWrapMode(pango.WrapWordChar)
	// What fits into one line is one: GTK would rather have two short ones.
	columns, oneLine := 60, 30
	if narrow { // libadwaita gives a toast the height for the width it would like
		columns, oneLine = 30, 22 // beside a button
	}
	label.SetMaxWidthChars(columns)
	label.SetWidthChars(min(utf8.RuneCountInString(text), oneLine))
	toast := adw.NewToast("")
	toast.SetObjectProperty("custom-title", label) // since libadwaita 1.2; its own title is one line
	toast.SetTimeout(uint(6 + utf8.RuneCountInString(text)/30))
	return toast
}
