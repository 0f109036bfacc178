//go:build gtk

// Package program is what every desktop program here is: one instance a person,
// its settings from one start to the next, how it looks, and its actions.
//
// It guarantees that a second start brings the first one forward in place of
// opening another window, and that settings which cannot be read or kept never
// keep the program from running.
package program

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/gui/prefs"
	"qvmremote/resources"
	"qvmremote/ui"
)

// Identity is which program it is.
type Identity struct {
	ID      string // of its name on the session bus, its desktop file and its icon
	Command string // it is started by
	Title   string
	Version string
	About   string // what it is, and how dangerous
	Keep    string // name of its settings, see [prefs.Path]
	Instead string // what does the same without a display
}

// Program is a running program.
type Program struct {
	Identity
	App   *adw.Application
	Scope *ui.Scope
	Prefs prefs.Prefs

	style ui.Style
	file  string // where Prefs are kept, "" for nowhere
}

// Begin makes a program that is not shown yet, and has the session know of it.
func Begin(i Identity) (*Program, error) {
	if !gtk.InitCheck() {
		return nil, errors.New("there is no display to show a window on; " + i.Instead + " does the same in a terminal")
	}
	if err := resources.Register(); err != nil {
		return nil, err
	}
	gtk.WindowSetDefaultIconName(i.ID)
	p := Unregistered(i, gio.ApplicationFlagsNone)
	if err := p.register(p.Scope.Context()); err != nil {
		p.Scope.Close()
		return nil, err
	}
	return p, nil
}

// Unregistered is a program of which the session does not know yet.
func Unregistered(i Identity, flags gio.ApplicationFlags) *Program {
	return &Program{Identity: i, App: adw.NewApplication(i.ID, flags), Scope: ui.NewScope(nil), Prefs: prefs.Default()}
}

func (p *Program) register(ctx context.Context) error {
	if err := p.App.Register(ctx); err != nil {
		return fmt.Errorf("cannot register with the session: %w", err)
	}
	return nil
}

// BringForward has the program that runs already show a page; "" for the one it
// shows.
func (p *Program) BringForward(page string) error {
	if page != "" {
		p.App.ActivateAction("show", glib.NewVariantString(page))
	}
	// It activates the other one, and sends what waits to be sent.
	if code := p.App.Run([]string{os.Args[0]}); code != 0 {
		return fmt.Errorf("cannot bring the window forward: the program ended with code %d", code)
	}
	return nil
}

// ReadPrefs reads what was kept.
func (p *Program) ReadPrefs(context.Context) {
	path, err := prefs.Path(p.Keep)
	if err == nil {
		p.file = path
		p.Prefs, err = prefs.Load(path, p.Prefs)
	}
	p.Complain(err)
}

// WritePrefs keeps them for the next time.
func (p *Program) WritePrefs(context.Context) {
	if p.file != "" {
		p.Complain(p.Prefs.Save(p.file))
	}
}

// LeavePrefs has the file stay as somebody else left it: it counts from the next
// start on.
func (p *Program) LeavePrefs() { p.file = "" }

// Complain says an error where there is no window for it.
func (p *Program) Complain(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, p.Command+":", err)
	}
}

// Look has the program look as its settings say.
func (p *Program) Look() { p.style.Set(p.Prefs.Style, p.Prefs.HighContrast) }

// Accelerators are all keys that do something anywhere in the program.
func (p *Program) Accelerators(keys map[string][]string) {
	for action, k := range keys {
		p.App.SetAccelsForAction(action, k)
	}
}

// AddStyle are the actions by which a person chooses how it looks.
func (p *Program) AddStyle() {
	style := gio.NewSimpleActionStateful("style", glib.NewVariantType("s"), glib.NewVariantString(p.Prefs.Style))
	style.ConnectActivate(func(choice *glib.Variant) {
		style.SetState(choice)
		p.Prefs.Style = choice.String()
		p.Look()
	})
	p.App.AddAction(style)
	p.Toggle("high-contrast", &p.Prefs.HighContrast, p.Look)
}

// AddShow is the action by which another start shows a page.
func (p *Program) AddShow(show func(page string)) {
	action := gio.NewSimpleAction("show", glib.NewVariantType("s"))
	action.ConnectActivate(func(page *glib.Variant) {
		p.App.Activate()
		show(page.String())
	})
	p.App.AddAction(action)
}

// Add is an action of the program.
func (p *Program) Add(name string, f func()) {
	action := gio.NewSimpleAction(name, nil)
	action.ConnectActivate(func(*glib.Variant) { f() })
	p.App.AddAction(action)
}

// Toggle is an action that turns one preference on and off.
func (p *Program) Toggle(name string, on *bool, changed func()) {
	action := gio.NewSimpleActionStateful(name, nil, glib.NewVariantBoolean(*on))
	action.ConnectActivate(func(*glib.Variant) {
		*on = !*on
		action.SetState(glib.NewVariantBoolean(*on))
		changed()
	})
	p.App.AddAction(action)
}

// Remember keeps how the window stands.
func (p *Program) Remember(w *ui.Shell) {
	width, height, maximized := w.Left()
	p.Prefs.Page, p.Prefs.Maximized = w.Current(), maximized
	if !maximized {
		p.Prefs.Width, p.Prefs.Height = width, height
	}
}

// InFront reports whether the person works with the program. A window that is
// hidden may still say that it is active.
func (p *Program) InFront() bool {
	w := p.App.ActiveWindow()
	return w != nil && w.IsVisible() && w.IsActive()
}

// ShowAbout says what this is, over a window.
func (p *Program) ShowAbout(over *gtk.Window) {
	d := gtk.NewAboutDialog()
	d.SetProgramName(p.Identity.Title)
	d.SetVersion(p.Version)
	d.SetLogoIconName(p.ID)
	d.SetLicenseType(gtk.LicenseGPL20)
	d.SetComments(p.About)
	d.SetTransientFor(over)
	d.SetModal(true)
	d.Present()
	// GTK gave the focus to the name, all selected.
	if name, ok := d.Focus().(*gtk.Label); ok {
		name.SelectRegion(0, 0)
	}
}
