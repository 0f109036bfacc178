//go:build gtk

package admin

import (
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// accelerators are all keys that do something anywhere in the program.
// resources/admin/shortcuts.ui shows them by the names of the actions.
var accelerators = map[string][]string{
	"app.quit":           {"<Control>q"},
	"win.shortcuts":      {"<Control>question", "F1"},
	"win.search":         {"<Control>f"},
	"win.back":           {"<Alt>Left"},
	"win.pause":          {"<Control>p"},
	"win.authorise":      {"<Control>n"},
	"win.page::overview": {"<Control>1"},
	"win.page::qubes":    {"<Control>2"},
	"win.page::requests": {"<Control>3"},
	"win.page::activity": {"<Control>4"},
	"win.close":          {"<Control>w"},
	"win.menu":           {"F10"},
}

func (a *App) addActions() {
	for action, keys := range accelerators {
		a.app.SetAccelsForAction(action, keys)
	}
	a.add("quit", func() {
		if a.window != nil {
			a.window.remember()
		}
		a.app.Quit()
	})
	a.add("about", func() { a.window.about() })

	show := gio.NewSimpleAction("show", glib.NewVariantType("s"))
	show.ConnectActivate(func(page *glib.Variant) {
		a.app.Activate()
		if a.window != nil {
			a.window.Show(page.String())
		}
	})
	a.app.AddAction(show)

	style := gio.NewSimpleActionStateful("style", glib.NewVariantType("s"), glib.NewVariantString(a.prefs.Style))
	style.ConnectActivate(func(choice *glib.Variant) {
		style.SetState(choice)
		a.prefs.Style = choice.String()
		a.style.Set(a.prefs.Style, a.prefs.HighContrast)
	})
	a.app.AddAction(style)
	a.toggle("high-contrast", &a.prefs.HighContrast, func() { a.style.Set(a.prefs.Style, a.prefs.HighContrast) })
	a.toggle("notify", &a.prefs.Notify, func() {})
	a.toggle("ask", &a.prefs.Ask, func() {})
	a.addBackground()
	a.addRequestActions()
}

func (a *App) add(name string, f func()) {
	action := gio.NewSimpleAction(name, nil)
	action.ConnectActivate(func(*glib.Variant) { f() })
	a.app.AddAction(action)
}

// toggle is an action that turns one preference on and off.
func (a *App) toggle(name string, on *bool, changed func()) {
	action := gio.NewSimpleActionStateful(name, nil, glib.NewVariantBoolean(*on))
	action.ConnectActivate(func(*glib.Variant) {
		*on = !*on
		action.SetState(glib.NewVariantBoolean(*on))
		changed()
	})
	a.app.AddAction(action)
}

// about says what this is, and how dangerous.
func (w *window) about() {
	d := gtk.NewAboutDialog()
	d.SetProgramName("Qubes Remote")
	d.SetVersion(w.app.options.Version)
	d.SetLogoIconName(ID)
	d.SetLicenseType(gtk.LicenseGPL20)
	d.SetComments("Lets chosen qubes run commands in dom0, and keeps a record of each one.\n\n" +
		"A qube that is authorised here can do everything: dom0 is only as safe as that qube.")
	d.SetTransientFor(w.Top())
	d.SetModal(true)
	d.Present()
	// GTK gave the focus to the name, all selected.
	if name, ok := d.Focus().(*gtk.Label); ok {
		name.SelectRegion(0, 0)
	}
}
