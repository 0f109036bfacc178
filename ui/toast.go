//go:build gtk

package ui

import (
	"unicode/utf8"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/queue"
)

// Say says what happened, or what went wrong, for a while. The text may hold
// names from anywhere; it is text, and what cannot be seen is an escape.
func (w *Shell) Say(text string) { w.Toasts.AddToast(w.PlainToast(text, "")) }

// PlainToast is a toast that says a text, as [Shell.Say] does, with a button that
// says so beside it; "" for none.
func (w *Shell) PlainToast(text, button string) *adw.Toast { return newToast(text, button, w.narrow()) }

// newToast makes one that says all of the text, in as many lines as it takes, and
// for as long as one reads.
func newToast(text, button string, narrow bool) *adw.Toast {
	text = queue.Plain(text, 1000)
	label := NewLabel(text)
	label.SetWrap(true)
	label.SetWrapMode(pango.WrapWordChar)
	label.AddCSSClass(toastClass)
	fitToast(label, utf8.RuneCountInString(button), narrow)
	toast := adw.NewToast("")
	if button != "" {
		toast.SetButtonLabel(button)
	}
	toast.SetObjectProperty("custom-title", label) // since libadwaita 1.2; its own title is one line
	toast.SetPriority(adw.ToastPriorityHigh)       // the newest is an answer; the one before comes again after it
	toast.SetTimeout(uint(6 + utf8.RuneCountInString(text)/30))
	return toast
}

// toastClass is what the text of a toast is found by.
const toastClass = "toast-text"

// fitToast gives a toast its width, beside a button of so many characters. What
// fits into one line is one: GTK would rather have two short ones.
func fitToast(label *gtk.Label, button int, narrow bool) {
	columns, oneLine := 60, 30
	if narrow { // libadwaita gives a toast the height for the width it would like
		columns, oneLine = 30, max(26-button, 8)
	}
	label.SetMaxWidthChars(columns)
	label.SetWidthChars(min(utf8.RuneCountInString(label.Text()), oneLine))
}

// fitToasts gives the toast that is shown its width anew, as the window has become
// narrow while one reads it, or no longer is.
func fitToasts(o *adw.ToastOverlay, narrow bool) {
	content := o.Child() // all pages, with nothing of a toast
	for c := o.FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		if content != nil && coreglib.BaseObject(c).Eq(content) {
			continue
		}
		var said *gtk.Label
		button := 0
		eachBelow(c, func(w gtk.Widgetter) {
			switch w := w.(type) {
			case *gtk.Label:
				if w.HasCSSClass(toastClass) {
					said = w
				}
			case *gtk.Button:
				button = max(button, utf8.RuneCountInString(w.Label()))
			}
		})
		if said != nil {
			fitToast(said, button, narrow)
		}
	}
}

// eachBelow calls visit for a widget and all below it.
func eachBelow(w gtk.Widgetter, visit func(gtk.Widgetter)) {
	visit(w)
	for c := gtk.BaseWidget(w).FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		eachBelow(c, visit)
	}
}
