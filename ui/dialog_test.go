//go:build gtk

package ui

import (
	"sync"
	"testing"

	"github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

// asked is a question on the screen.
type asked struct {
	t      *testing.T
	scope  *Scope
	dialog *gtk.Window
	agreed int
}

// program is the window that questions are asked over. It is never destroyed, as
// the program's own is not: an AdwMessageDialog looks for it when it is freed,
// which is when Go's garbage is collected.
var program = sync.OnceValue(func() *gtk.Window {
	window := gtk.NewWindow()
	window.Present()
	return window
})

func ask(t *testing.T, q Question) *asked {
	t.Helper()
	a := &asked{t: t, scope: NewScope(nil)}
	if err := Ask(a.scope, program(), q, func() { a.agreed++ }); err != nil {
		t.Fatal(err)
	}
	for _, w := range gtk.WindowListToplevels() {
		if top, ok := w.(*gtk.Window); ok && top.TransientFor() != nil && top.Visible() {
			a.dialog = top
		}
	}
	if a.dialog == nil {
		t.Fatal("no dialog is shown")
	}
	t.Cleanup(a.scope.Close)
	stage.Settle()
	return a
}

// narrowProgram is such a window without room for two buttons beside each other.
var narrowProgram = sync.OnceValue(func() *gtk.Window {
	window := gtk.NewWindow()
	window.SetDefaultSize(360, 500)
	window.Present()
	return window
})

// TestReturnDoesNothingHarmful: the focus is on the button that does nothing, be
// the buttons beside or above each other.
func TestReturnDoesNothingHarmful(t *testing.T) {
	stage.Enter(t)
	for name, over := range map[string]*gtk.Window{"wide": program(), "narrow": narrowProgram()} {
		for keep, want := range map[string]string{"": "Cancel", "Let it run": "Let it run"} {
			scope := NewScope(nil)
			q := Question{Heading: "Cancel this command?", Action: "Cancel the command and close the tab", Keep: keep, Harmful: true}
			if err := Ask(scope, over, q, func() { t.Errorf("%s: it was done", name) }); err != nil {
				t.Fatal(err)
			}
			var dialog *gtk.Window
			for _, w := range gtk.WindowListToplevels() {
				if top, ok := w.(*gtk.Window); ok && top.TransientFor() != nil && top.Visible() {
					dialog = top
				}
			}
			frames := 0 // GTK lays it out with the buttons side by side first
			dialog.AddTickCallback(func(gtk.Widgetter, gdk.FrameClocker) bool { frames++; return frames < 6 })
			stage.Until(t, name+": it is laid out", func() bool { return frames == 6 })
			if b, ok := dialog.Focus().(*gtk.Button); !ok || b.Label() != want || !b.Mapped() {
				t.Errorf("%s: the focus is not on %q", name, want)
			}
			scope.Close()
		}
	}
}

// button is the one that says so.
func (a *asked) button(label string) *gtk.Button {
	a.t.Helper()
	for _, b := range each[*gtk.Button](a.dialog) {
		if b.Label() == label {
			return b
		}
	}
	a.t.Fatalf("there is no button %q", label)
	return nil
}

func (a *asked) entry() *gtk.Entry {
	a.t.Helper()
	all := each[*gtk.Entry](a.dialog)
	if len(all) != 1 {
		a.t.Fatalf("there are %d fields to type in", len(all))
	}
	return all[0]
}

// gone reports whether the dialog is off the screen.
func (a *asked) gone() bool {
	stage.Settle()
	for _, w := range gtk.WindowListToplevels() {
		if glib.BaseObject(w).Native() == glib.BaseObject(a.dialog).Native() {
			return false
		}
	}
	return true
}

func (a *asked) ends(agreed int) {
	a.t.Helper()
	if !a.gone() {
		a.t.Error("the dialog is still there")
	}
	if a.agreed != agreed {
		a.t.Errorf("it was agreed %d times, not %d", a.agreed, agreed)
	}
}

var risk = Question{Heading: "Revoke <b>work</b> & all?", Body: "It <i>cannot</i> be undone.", Action: "Revoke", Harmful: true, Typed: "Work", Qube: "work", Label: "red"}

// TestARiskIsTakenWithTheExactWordAlone: its case counts, spaces around it do
// not; and until it is there neither the button nor Enter does anything.
func TestARiskIsTakenWithTheExactWordAlone(t *testing.T) {
	stage.Enter(t)
	a := ask(t, risk)
	button, entry := a.button("Revoke"), a.entry()
	if button.Sensitive() || !button.HasCSSClass("destructive") {
		t.Errorf("at first the button works: %t", button.Sensitive())
	}
	for text, works := range map[string]bool{
		"": false, " ": false, "W": false, "work": false, "WORK": false, "Work.": false, "Wor k": false, "Work work": false,
		"W\u043erk": false, "Work\u200b": false, "Work": true, "  Work ": true, "\tWork": true,
	} {
		entry.SetText(text)
		stage.Settle()
		if button.Sensitive() != works {
			t.Errorf("with %q typed the button works: %t", text, !works)
		}
		if !works {
			entry.Emit("activate")
			stage.Settle()
		}
		if a.agreed != 0 || a.gone() {
			t.Fatalf("with %q typed the question is answered", text)
		}
	}
	entry.SetText("Work")
	button.Emit("clicked")
	a.ends(1)
}

func TestEnterAfterTheWordAgrees(t *testing.T) {
	stage.Enter(t)
	a := ask(t, risk)
	a.entry().SetText(" Work")
	a.entry().Emit("activate")
	a.ends(1)
}

// TestWhateverElseEndsAQuestionMeansNo: Escape, the window manager, the other
// button, and the end of the page, although the word is there.
func TestWhateverElseEndsAQuestionMeansNo(t *testing.T) {
	stage.Enter(t)
	for name, end := range map[string]func(*asked){
		// What Escape is bound to in a dialog; test/gui presses the key.
		"Escape":   func(a *asked) { a.dialog.Close() },
		"Cancel":   func(a *asked) { a.button("Cancel").Emit("clicked") },
		"the page": func(a *asked) { a.scope.Close() },
	} {
		a := ask(t, risk)
		a.entry().SetText("Work")
		end(a)
		if !a.gone() || a.agreed != 0 {
			t.Errorf("%s: the dialog is gone: %t, it was agreed %d times", name, a.gone(), a.agreed)
		}
	}
}

// TestAQuestionSaysWhatItIsAbout in the words it was given, as text.
func TestAQuestionSaysWhatItIsAbout(t *testing.T) {
	stage.Enter(t)
	a := ask(t, risk)
	shown := map[string]bool{}
	for _, s := range texts(a.dialog) {
		shown[s] = true
	}
	for _, want := range []string{risk.Heading, risk.Body, "work", "Type “Work” to go on."} {
		if !shown[want] {
			t.Errorf("%q is not among what it shows: %q", want, texts(a.dialog))
		}
	}
	stage.Name(t, a.entry(), "Type Work to go on")
}

func TestAHarmlessQuestionNeedsNoWord(t *testing.T) {
	stage.Enter(t)
	a := ask(t, Question{Heading: "Pause?", Body: "It can go on later.", Action: "Pause"})
	b := a.button("Pause")
	if !b.Sensitive() || b.HasCSSClass("destructive") || a.entry().Visible() {
		t.Errorf("the button works: %t, a field is shown: %t", b.Sensitive(), a.entry().Visible())
	}
	b.Emit("clicked")
	a.ends(1)
}
