//go:build gtk

package ui

// #cgo pkg-config: libadwaita-1
// #include <stdlib.h>
// #include "dialog.h"
import "C"

import (
	"strings"
	"unsafe"

	"github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui/i18n"
)

// Question is what a dialog asks before something is done.
type Question struct {
	Heading string
	Body    string
	Action  string // what the button that does it says
	Harmful bool   // it destroys, or lets somebody in: the button says so by its colour
	Keep    string // what the button that does nothing says; "" for Cancel
	// Typed is the word that must be typed before the button works; "" for none.
	Typed string
	// Qube and Label are shown above the words; "" for none.
	Qube, Label string
}

// questionView is resources/ui/question.ui. Dialog is an AdwMessageDialog.
type questionView struct {
	Dialog *gtk.Window
	Chip   *gtk.Box
	Prompt *gtk.Label
	Entry  *gtk.Entry
	Extra  *gtk.Box
	no     string // what its other button says
}

const (
	agree  = "go" // the response of the button
	refuse = "cancel"
)

// Ask shows a question over a window and calls yes if the person agrees, and
// nothing otherwise. Escape and closing the dialog mean no. The dialog is gone
// once it is answered, or when the scope around it closes.
func Ask(around *Scope, over *gtk.Window, q Question, yes func()) error {
	var v questionView
	if err := Fill(&v, "/org/qvmremote/ui/question.ui"); err != nil {
		return err
	}
	scope := NewScope(around)
	typed := func() bool { return q.Typed == "" || strings.TrimSpace(v.Entry.Text()) == q.Typed }
	v.show(q)
	v.enable(typed())
	scope.Bind(v.Entry, v.Entry.ConnectChanged(func() { v.enable(typed()) }))
	scope.Bind(v.Entry, v.Entry.ConnectActivate(func() {
		if typed() {
			v.respond()
		}
	}))
	agreed := false
	scope.OnClose(func() { v.Dialog.Destroy() })
	scope.Bind(v.Dialog, v.Dialog.Connect("response", func(response string) {
		agreed = response == agree && typed()
		scope.Close()
		if agreed {
			yes()
		}
	}))
	v.Dialog.SetTransientFor(over)
	v.Dialog.Present()
	if q.Typed == "" {
		focusNo(scope, v.Dialog, v.no)
	}
	return nil
}

// focusNo has the focus on the button of a dialog that does nothing, once it is
// known how the buttons stand. Where there is no room for two beside each other
// GTK would have it on the upper one, which does it. There is a pair of buttons
// for either case, one of them out of sight.
//
// A dialog that is closed before it is drawn has no more frames, and keeps what
// waits for them: that must not hold the dialog.
func focusNo(s *Scope, dialog *gtk.Window, no string) {
	frames := 0
	dialog.AddTickCallback(func(w gtk.Widgetter, _ gdk.FrameClocker) bool {
		if frames++; frames < 2 && !s.Closed() {
			return true
		}
		if !s.Closed() {
			eachBelow(w, func(w gtk.Widgetter) {
				if b, ok := w.(*gtk.Button); ok && b.Label() == no && b.Mapped() {
					b.GrabFocus()
				}
			})
		}
		return false
	})
}

func (v *questionView) show(q Question) {
	v.Dialog.SetObjectProperty("heading", q.Heading)
	v.Dialog.SetObjectProperty("body", q.Body)
	v.offer(q.Action, q.Harmful)
	if v.no = q.Keep; v.no == "" {
		v.no = i18n.T("Cancel")
	}
	v.label(refuse, v.no)
	if q.Qube != "" {
		chip := NewChip()
		chip.Set(q.Qube, q.Label)
		chip.SetHAlign(gtk.AlignCenter)
		v.Chip.Append(chip)
	}
	v.Chip.SetVisible(q.Qube != "")
	v.Prompt.SetText(i18n.T("Type “%s” to go on.", q.Typed))
	v.Prompt.SetVisible(q.Typed != "")
	v.Entry.SetVisible(q.Typed != "")
	v.Extra.SetVisible(q.Qube != "" || q.Typed != "")
	Name(v.Entry, i18n.T("Type %s to go on", q.Typed))
	if q.Typed != "" {
		v.Dialog.SetFocus(v.Entry)
	}
}

func (v *questionView) offer(label string, harmful bool) {
	response, text := C.CString(agree), C.CString(label)
	defer C.free(unsafe.Pointer(response))
	defer C.free(unsafe.Pointer(text))
	C.qvm_dialog_offer(v.native(), response, text, gboolean(harmful))
}

func (v *questionView) label(name, label string) {
	response, text := C.CString(name), C.CString(label)
	defer C.free(unsafe.Pointer(response))
	defer C.free(unsafe.Pointer(text))
	C.qvm_dialog_label(v.native(), response, text)
}

func (v *questionView) enable(enabled bool) {
	response := C.CString(agree)
	defer C.free(unsafe.Pointer(response))
	C.qvm_dialog_enable(v.native(), response, gboolean(enabled))
}

func (v *questionView) respond() {
	response := C.CString(agree)
	defer C.free(unsafe.Pointer(response))
	C.qvm_dialog_respond(v.native(), response)
}

func (v *questionView) native() C.guintptr {
	return C.guintptr(glib.BaseObject(v.Dialog).Native())
}

func gboolean(b bool) C.gboolean {
	if b {
		return 1
	}
	return 0
}
