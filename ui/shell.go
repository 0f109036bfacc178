//go:build gtk

package ui

import (
	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Page is one page of a program's window.
type Page interface {
	Widget() gtk.Widgetter
	Shown()        // it comes to the front
	Hidden()       // another page does
	Narrow(bool)   // there is little room
	Inner() string // title of what is open within the page, "" for nothing
	Leave()        // goes back from there
}

// Place is where a page is found in the sidebar. Make makes the page when it is
// first wanted.
type Place struct {
	Name, Title, Icon string
	Make              func() (Page, error)
}

// ShellView is resources/ui/shell.ui.
type ShellView struct {
	Window       *adw.ApplicationWindow
	Leaflet      *adw.Leaflet
	Sidebar      *gtk.Box
	SidebarBar   *adw.HeaderBar
	SidebarTitle *adw.WindowTitle
	Content      *gtk.Box
	Pages        *gtk.ListBox
	Footer       *gtk.Box // below the pages, for the program's own use
	Bar          *adw.HeaderBar
	Title        *adw.WindowTitle
	Back         *gtk.Button
	Banner       *gtk.Revealer
	BannerBox    *gtk.Box
	BannerIcon   *gtk.Image
	BannerText   *gtk.Label
	BannerButton *gtk.Button
	Toasts       *adw.ToastOverlay
	States       *gtk.Stack
	Reason       *adw.StatusPage
	Waiting      *gtk.Spinner
	Retry        *gtk.Button
	Views        *gtk.Stack
	MenuButton   *gtk.MenuButton
}

// Shell is the window of a program: its pages in a sidebar that folds away
// where there is little room, a banner over them, and a place for saying why
// there is nothing to show.
type Shell struct {
	ShellView
	scope     *Scope
	places    []Place
	made      map[string]Page
	rows      map[string]SidebarRow
	current   string
	broken    error  // why a page could not be made
	moved     func() // another page is in front, or there is another room
	concealed bool
	small     bool                 // it is to be narrow from the beginning
	help      *gtk.ShortcutsWindow // once it was wanted
}

// SidebarRow is one page's row, whose Box takes what is to be said beside the
// title.
type SidebarRow struct {
	Row *gtk.ListBoxRow
	Box *gtk.Box
}

// NewShell makes a window without pages. moved is called whenever another page
// came to the front, and when there is more room or less.
func NewShell(s *Scope, app *adw.Application, title, icon string, menu *gio.Menu, moved func()) (*Shell, error) {
	gtk.IconThemeGetForDisplay(gdk.DisplayGetDefault()).AddResourcePath("/org/qvmremote/ui/icons")
	w := &Shell{scope: s, made: map[string]Page{}, rows: map[string]SidebarRow{}, moved: moved}
	if err := Fill(&w.ShellView, "/org/qvmremote/ui/shell.ui"); err != nil {
		return nil, err
	}
	w.Window.SetTitle(title)
	w.Window.SetIconName(icon)
	w.SidebarTitle.SetTitle(title)
	w.MenuButton.SetMenuModel(menu)
	shadowLast(w.Leaflet)
	w.addActions()
	w.Pages.ConnectRowActivated(func(row *gtk.ListBoxRow) { w.Show(w.places[row.Index()].Name) })
	w.Leaflet.NotifyProperty("folded", w.fold)
	w.Window.ConnectMap(func() { After(w.scope, settleTime, w.makeRest) })
	w.Window.SetApplication(&app.Application)
	return w, nil
}

// Place puts the pages into the sidebar, in their order, and returns why one
// could not be made. first is shown, or where there is no such page the first.
func (w *Shell) Place(places []Place, first string) error {
	w.places = places
	for _, p := range places {
		row := newSidebarRow(p.Title, p.Icon)
		w.Pages.Append(row.Row)
		w.rows[p.Name] = row
	}
	w.Show(first)
	w.fold()
	return w.broken
}

// Row is the row of a page.
func (w *Shell) Row(name string) SidebarRow { return w.rows[name] }

// smallWindow is from which width on sidebar and page stand side by side, about,
// in pixels.
const smallWindow = 600

// Size gives the window the size that was kept of it.
func (w *Shell) Size(width, height int, maximized bool) {
	w.small = width < smallWindow && !maximized
	w.Window.SetDefaultSize(width, height)
	if maximized {
		w.Window.Maximize()
	}
}

// Top is the window as dialogs want it.
func (w *Shell) Top() *gtk.Window { return &w.Window.Window }

// Current is the name of the page in front.
func (w *Shell) Current() string { return w.current }

// Front is the page in front, nil where there is none.
func (w *Shell) Front() Page { return w.made[w.current] }

// Made is a page that was wanted before, else nil.
func (w *Shell) Made(name string) Page { return w.made[name] }

// Page is one of the pages, made when it is first wanted; nil where there is
// none of that name, or it could not be made, which is said.
func (w *Shell) Page(name string) Page {
	if w.made[name] != nil || w.broken != nil {
		return w.made[name]
	}
	for _, p := range w.places {
		if p.Name != name {
			continue
		}
		made, err := p.Make()
		if err != nil {
			w.broken = err
			w.Say(err.Error())
			return nil
		}
		w.made[name] = made
		visible(made, false)
		w.Views.AddNamed(made.Widget(), name)
		made.Narrow(w.narrow())
		return made
	}
	return nil
}

// settleTime is how long the first page is left alone, in ms, before those are
// made that nobody has asked for yet.
const settleTime = 200

// makeRest makes the other pages, one at a time, so that they are there at once
// when they are wanted and no key waits for more than one.
func (w *Shell) makeRest() {
	for _, p := range w.places {
		if w.made[p.Name] == nil && w.Page(p.Name) != nil {
			Soon(w.scope, w.makeRest)
			return
		}
	}
}

func newSidebarRow(title, icon string) SidebarRow {
	box := gtk.NewBox(gtk.OrientationHorizontal, 12)
	box.Append(gtk.NewImageFromIconName(icon))
	box.Append(NewLabel(title))
	row := gtk.NewListBoxRow()
	row.SetChild(box)
	Name(row, title)
	return SidebarRow{row, box}
}

// Present brings the window to the front.
func (w *Shell) Present() {
	if p := w.Front(); p != nil && w.concealed {
		p.Shown()
	}
	w.concealed = false
	w.Window.Present()
}

// Conceal hides the window of a program that goes on without one.
func (w *Shell) Conceal() {
	if p := w.Front(); p != nil {
		p.Hidden()
	}
	w.concealed = true
	w.Window.SetVisible(false)
}

// Do makes an action of the window.
func (w *Shell) Do(name string, f func()) *gio.SimpleAction {
	action := gio.NewSimpleAction(name, nil)
	action.ConnectActivate(func(*glib.Variant) { f() })
	w.Window.AddAction(action)
	return action
}

func (w *Shell) addActions() {
	page := gio.NewSimpleAction("page", glib.NewVariantType("s"))
	page.ConnectActivate(func(name *glib.Variant) { w.Show(name.String()) })
	w.Window.AddAction(page)
	w.Do("back", w.GoBack)
	w.Do("close", func() { w.Window.Close() })
	w.Do("menu", func() {
		w.Leaflet.SetVisibleChild(w.Sidebar) // where it is, should it be folded away
		w.MenuButton.Popup()
	})
}

// Folded reports whether sidebar and page do not stand side by side.
func (w *Shell) Folded() bool { return w.Leaflet.Folded() }

// Covered reports whether the sidebar stands in place of the pages.
func (w *Shell) Covered() bool {
	shown := w.Leaflet.VisibleChild()
	return w.Folded() && shown != nil && coreglib.BaseObject(shown).Eq(w.Sidebar)
}

// narrow reports whether pages have little room. What wants more of it before the
// window is there makes the window wider.
func (w *Shell) narrow() bool { return w.Leaflet.Folded() || w.small && !w.Window.Mapped() }

// fold fits the window to whether sidebar and page stand side by side.
func (w *Shell) fold() {
	folded := w.Leaflet.Folded()
	w.SidebarBar.SetShowEndTitleButtons(folded)
	for _, p := range w.made {
		p.Narrow(w.narrow())
	}
	fitToasts(w.Toasts, w.narrow())
	w.Refresh()
}

// Show brings a page to the front; the first one where there is none of that
// name.
func (w *Shell) Show(name string) {
	next := w.Page(name)
	if next == nil {
		name = w.places[0].Name
		next = w.Page(name)
	}
	if next == nil {
		return // said already
	}
	if w.current != name {
		before := w.Front()
		if before != nil {
			before.Hidden()
		}
		w.current = name
		visible(next, true)
		w.Views.SetVisibleChildName(name)
		if before != nil {
			visible(before, false)
		}
		w.Pages.SelectRow(w.rows[name].Row)
		next.Shown()
	}
	w.Leaflet.SetVisibleChild(w.Content)
	w.moved()
	w.Refresh()
}

// visible has a page be there, or not: what is not in front is not only behind.
// GTK styles all of a window anew with each step of the focus, with all the rows
// of all the pages.
func visible(p Page, there bool) { gtk.BaseWidget(p.Widget()).SetVisible(there) }

// Refresh shows where one is, and whether one can go back.
func (w *Shell) Refresh() {
	title, inner := "", ""
	for _, p := range w.places {
		if p.Name == w.current {
			title = p.Title
		}
	}
	if p := w.Front(); p != nil && w.States.VisibleChildName() == "content" {
		inner = p.Inner()
	}
	if inner != "" {
		title = inner
	}
	w.Title.SetTitle(title)
	w.Back.SetVisible(inner != "" || w.Leaflet.Folded())
}

// GoBack leaves what is open within the page, or the page for the sidebar.
func (w *Shell) GoBack() {
	if p := w.Front(); p != nil && p.Inner() != "" {
		p.Leave()
		w.Refresh()
		return
	}
	if w.Leaflet.Folded() {
		w.Leaflet.SetVisibleChild(w.Sidebar)
	}
}

// Left is how the window stands, to be kept for the next time.
func (w *Shell) Left() (width, height int, maximized bool) {
	width, height = w.Window.DefaultSize()
	return width, height, w.Window.IsMaximized()
}

// Attention shows a banner over every page; "" hides it.
func (w *Shell) Attention(text, tone, icon string, button bool) {
	w.Banner.SetRevealChild(text != "")
	if text == "" {
		return
	}
	SetText(w.BannerText, text, 300)
	w.BannerIcon.SetFromIconName(icon)
	SetTone(w.BannerBox, tone)
	w.BannerButton.SetVisible(button)
}

// Absence is why there is nothing to show.
type Absence struct {
	Icon, Title, Text string
	Button            string // "" for none
	Waiting           bool   // it may pass by itself
}

// Content shows the pages.
func (w *Shell) ShowContent() {
	w.States.SetVisibleChildName("content")
	w.Waiting.SetSpinning(false)
}

// ShowAbsence shows why there is nothing to show, in place of the pages.
func (w *Shell) ShowAbsence(why Absence) {
	w.Reason.SetIconName(why.Icon)
	w.Reason.SetTitle(glib.MarkupEscapeText(why.Title, -1))
	w.Reason.SetDescription(glib.MarkupEscapeText(why.Text, -1))
	w.Retry.SetLabel(why.Button)
	w.Retry.SetVisible(why.Button != "")
	w.Waiting.SetVisible(why.Waiting)
	w.Waiting.SetSpinning(why.Waiting)
	w.States.SetVisibleChildName("reason")
}

// shortcutsView is a program's shortcuts.ui.
type shortcutsView struct{ Shortcuts *gtk.ShortcutsWindow }

// Shortcuts shows all keys. GTK fills in which keys they are for the one window
// that it knows to be of this window's help, so that one is kept.
func (w *Shell) Shortcuts(resource string) {
	if w.help == nil {
		var v shortcutsView
		if err := Fill(&v, resource); err != nil {
			w.Say(err.Error())
			return
		}
		w.help = v.Shortcuts
		w.Window.SetHelpOverlay(w.help)
	}
	w.help.Present()
}
