//go:build gtk

package ui

import (
	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Transient has a dialog stand before a window, no larger than that, and go away
// with its scope; both go by Escape, unless one of may says that it must stay.
// What is in it comes first, then Present.
func Transient(s *Scope, dialog *adw.Window, over *gtk.Window, may ...func() bool) {
	s.OnClose(dialog.Destroy)
	s.Bind(dialog, dialog.ConnectCloseRequest(func() bool {
		for _, ok := range may {
			if !ok() {
				return true
			}
		}
		s.Close()
		return true
	}))
	escape := gtk.NewShortcutController()
	escape.AddShortcut(gtk.NewShortcut(gtk.NewShortcutTriggerParseString("Escape"), gtk.NewNamedAction("window.close")))
	dialog.AddController(escape)
	s.OnClose(func() { dialog.RemoveController(escape) })
	dialog.SetTransientFor(over)
	width, height := dialog.DefaultSize()
	if w, h := over.Width(), over.Height(); w > 0 && h > 0 {
		dialog.SetDefaultSize(min(width, w), min(height, h))
	}
}
