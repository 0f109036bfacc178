//go:build gtk

package ui

// #cgo pkg-config: gio-2.0
// #include "rows.h"
import "C"

import (
	"math"
	"unsafe"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Rows is a list model of nothing but a number of rows. A list shows it by a
// factory that asks for each row's position and fetches what is there, so that
// a million rows cost no more than the forty that are on the screen.
type Rows struct {
	object *coreglib.Object
	model  *gio.ListModel
}

// NewRows makes a model without rows.
func NewRows() *Rows {
	object := coreglib.AssumeOwnership(unsafe.Pointer(C.qvm_rows_new()))
	return &Rows{object, &gio.ListModel{Object: object}}
}

// Model is for GTK.
func (r *Rows) Model() *gio.ListModel { return r.model }

// Len is how many rows there are.
func (r *Rows) Len() int { return int(C.qvm_rows_length(r.native())) }

// Splice says that at that position so many rows went and so many came. Numbers
// beyond the end are cut to it.
func (r *Rows) Splice(position, removed, added int) {
	C.qvm_rows_splice(r.native(), guint(position), guint(removed), guint(added))
}

// guint is n, or what is nearest to it that C has.
func guint(n int) C.guint { return C.guint(min(max(n, 0), math.MaxUint32)) }

func (r *Rows) native() C.guintptr { return C.guintptr(r.object.Native()) }

// scrollTo has a list show the row at a position. One that has no place on the
// screen yet may never scroll again after that.
func scrollTo(list *gtk.ListView, position int) {
	list.ActivateAction("list.scroll-to-item", glib.NewVariantUint32(uint32(position)))
}

// home has the key of that name show the first row also where the focus was left
// there and the list was scrolled by other means: GTK scrolls to a row that gets
// the focus, not to one that has it.
func home(s *Scope, list *gtk.ListView, scroll *gtk.ScrolledWindow) {
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	s.Bind(keys, keys.ConnectKeyPressed(func(key, _ uint, state gdk.ModifierType) bool {
		if (key == gdk.KEY_Home || key == gdk.KEY_KP_Home) && state&gtk.AcceleratorGetDefaultModMask() == 0 {
			scroll.VAdjustment().SetValue(0)
		}
		return false // GTK moves the focus
	}))
	list.AddController(keys)
	s.OnClose(func() { list.RemoveController(keys) })
}
