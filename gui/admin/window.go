//go:build gtk

package admin

import (
	"fmt"
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/link"
	"qvmremote/gui/words"
	"qvmremote/ui"
)

// page is one page of the window.
type page interface {
	root() gtk.Widgetter
	// report is what the service said; news come in their order, to every page
	// whether or not it is shown. fresh says that they may be another log's.
	report(fresh bool, news []dbus.News)
	shown()           // it comes to the front
	hidden()          // another page does
	narrow(bool)      // there is little room
	inner() string    // title of what is open within the page, "" for nothing
	leave()           // goes back from there
	find()            // puts the cursor where one searches
	open(what string) // opens something within it: a qube
	close()
}

// pages are the window's, in their order.
var pages = []struct{ name, title, icon string }{
	{"overview", "Overview", "qr-overview-symbolic"},
	{"qubes", "Qubes", "qr-qubes-symbolic"},
	{"requests", "Requests", "qr-requests-symbolic"},
	{"activity", "Activity", "qr-activity-symbolic"},
}

// makers make the pages, in the same order.
func makers() []func(*window) (page, error) {
	return []func(*window) (page, error){newOverview, newQubes, newRequests, newActivity}
}

type windowView struct {
	Window       *adw.ApplicationWindow
	Leaflet      *adw.Leaflet
	Sidebar      *gtk.Box
	SidebarBar   *adw.HeaderBar
	Content      *gtk.Box
	Pages        *gtk.ListBox
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

// window is the one window of the program.
type window struct {
	windowView
	*desk
	app     *App
	scope   *ui.Scope
	pages   map[string]page
	current string
	told    bool            // what the service says is known
	broken  error           // why a page could not be made
	ran     map[string]bool // qubes whose commands were running at the last report
	lasts   *lasts
	count   requestCount

	concealed bool                 // closed, by a program that goes on
	help      *gtk.ShortcutsWindow // once it was wanted
}

func newWindow(a *App) (*window, error) {
	w := &window{app: a, scope: ui.NewScope(a.scope), pages: map[string]page{}, ran: map[string]bool{}}
	if err := ui.Fill(&w.windowView, "/org/qvmremote/Admin/ui/window.ui"); err != nil {
		return nil, err
	}
	shadowLast(w.Leaflet)
	w.desk = &desk{labels: map[string]string{}, over: w.top, toast: w.say}
	w.desk.now = dbus.Snapshot{Availability: dbus.Connecting, Stale: true}
	w.lasts = newLasts(w.desk, w.scope)
	for _, p := range pages {
		row, box := sidebarRow(p.title, p.icon)
		w.Pages.Append(row)
		if p.name == "requests" {
			w.count = newRequestCount(row, box)
		}
	}
	w.addActions()
	w.connect()
	w.logFrames()
	w.Window.SetApplication(&a.app.Application)
	w.Window.SetDefaultSize(a.prefs.Width, a.prefs.Height)
	if a.prefs.Maximized {
		w.Window.Maximize()
	}
	first := a.options.Page
	if !slices.Contains(Pages(), first) {
		first = a.prefs.Page
	}
	w.showPage(first)
	w.fold()
	return w, w.broken
}

// page is one of the pages, made when it is first wanted; nil where there is
// none of that name.
func (w *window) page(name string) page {
	i := slices.Index(Pages(), name)
	if i < 0 || w.pages[name] != nil || w.broken != nil {
		return w.pages[name]
	}
	made, err := makers()[i](w)
	if err != nil {
		w.broken = err
		w.toast(words.Error(err))
		return nil
	}
	w.pages[name] = made
	w.Views.AddNamed(made.root(), name)
	made.narrow(w.Leaflet.Folded())
	if w.told {
		made.report(true, nil)
	}
	return made
}

// settleTime is how long the first page is left alone, in ms, before those are
// made that nobody has asked for yet.
const settleTime = 200

// makeRest makes the other pages, one at a time, so that they are there at once
// when they are wanted and no key waits for more than one.
func (w *window) makeRest() {
	for _, name := range Pages() {
		if w.pages[name] == nil && w.page(name) != nil {
			ui.Soon(w.scope, w.makeRest)
			return
		}
	}
}

func sidebarRow(title, icon string) (*gtk.ListBoxRow, *gtk.Box) {
	box := gtk.NewBox(gtk.OrientationHorizontal, 12)
	box.Append(gtk.NewImageFromIconName(icon))
	box.Append(ui.NewLabel(title))
	row := gtk.NewListBoxRow()
	row.SetChild(box)
	ui.Name(row, title)
	return row, box
}

func (w *window) top() *gtk.Window { return &w.Window.Window }

func (w *window) present() {
	if p := w.pages[w.current]; p != nil && w.concealed {
		p.shown()
	}
	w.concealed = false
	w.Window.Present()
}

// conceal hides the window of a program that goes on without one.
func (w *window) conceal() {
	if p := w.pages[w.current]; p != nil {
		p.hidden()
	}
	w.concealed = true
	w.Window.SetVisible(false)
}

func (w *window) say(text string) {
	toast := adw.NewToast(glib.MarkupEscapeText(text, -1))
	toast.SetTimeout(6)
	w.Toasts.AddToast(toast)
}

func (w *window) addActions() {
	add := func(name string, f func()) {
		action := gio.NewSimpleAction(name, nil)
		action.ConnectActivate(func(*glib.Variant) { f() })
		w.Window.AddAction(action)
	}
	page := gio.NewSimpleAction("page", glib.NewVariantType("s"))
	page.ConnectActivate(func(name *glib.Variant) { w.showPage(name.String()) })
	w.Window.AddAction(page)
	add("back", w.back)
	add("retry", func() { w.app.link.Retry() })
	add("search", func() {
		w.showPage("activity")
		if p := w.pages[w.current]; p != nil {
			p.find()
		}
	})
	add("attention", w.showAttention)
	add("authorise", func() { w.authorise("") })
	add("pause", w.pauseOrGoOn)
	add("shortcuts", w.shortcuts)
	add("close", func() { w.Window.Close() })
	add("menu", func() {
		w.Leaflet.SetVisibleChild(w.Sidebar) // where it is, should it be folded away
		w.MenuButton.Popup()
	})
}

func (w *window) connect() {
	w.Pages.ConnectRowActivated(func(row *gtk.ListBoxRow) { w.showPage(pages[row.Index()].name) })
	w.Leaflet.NotifyProperty("folded", w.fold)
	w.Window.ConnectMap(func() { ui.After(w.scope, settleTime, w.makeRest) })
	w.Window.ConnectCloseRequest(func() bool {
		w.remember()
		if w.app.stays {
			w.conceal()
		}
		return w.app.stays
	})
}

// fold fits the window to whether sidebar and page stand side by side.
func (w *window) fold() {
	folded := w.Leaflet.Folded()
	w.SidebarBar.SetShowEndTitleButtons(folded)
	for _, p := range w.pages {
		p.narrow(folded)
	}
	w.refreshBar()
}

func (w *window) showPage(name string) {
	next := w.page(name)
	if next == nil {
		name = pages[0].name
		next = w.page(name)
	}
	if next == nil {
		return // said already
	}
	if w.current != name {
		if before := w.pages[w.current]; before != nil {
			before.hidden()
		}
		w.current = name
		w.Views.SetVisibleChildName(name)
		for i, p := range pages {
			if p.name == name {
				w.Pages.SelectRow(w.Pages.RowAtIndex(i))
			}
		}
		next.shown()
	}
	w.Leaflet.SetVisibleChild(w.Content)
	w.showBanner()
	w.refreshBar()
}

// refreshBar shows where one is, and whether one can go back.
func (w *window) refreshBar() {
	title := ""
	for _, p := range pages {
		if p.name == w.current {
			title = p.title
		}
	}
	inner := ""
	if p := w.pages[w.current]; p != nil && w.States.VisibleChildName() == "content" {
		inner = p.inner()
	}
	if inner != "" {
		title = inner
	}
	w.Title.SetTitle(title)
	w.Back.SetVisible(inner != "" || w.Leaflet.Folded())
}

func (w *window) back() {
	if p := w.pages[w.current]; p != nil && p.inner() != "" {
		p.leave()
		w.refreshBar()
		return
	}
	if w.Leaflet.Folded() {
		w.Leaflet.SetVisibleChild(w.Sidebar)
	}
}

// remember keeps how the window stands for the next time.
func (w *window) remember() {
	p := &w.app.prefs
	p.Page, p.Maximized = w.current, w.Window.IsMaximized()
	if !p.Maximized {
		p.Width, p.Height = w.Window.DefaultSize()
	}
}

// report shows what the service said, and what happened.
func (w *window) report(r link.Report) {
	d := w.desk
	d.now, d.quiet, d.asking = r.Snapshot, r.Quiet, r.Asking
	clear(d.labels)
	for _, q := range d.now.Qubes {
		d.labels[q.Name] = q.Label
	}
	w.told = true
	w.showAvailability()
	w.lasts.report(r.Fresh, r.News)
	for _, p := range w.pages {
		p.report(r.Fresh, r.News)
	}
	w.count.show(len(r.Snapshot.Requests))
	w.showBanner()
	w.tellRunning()
	w.refreshBar()
}

// showAvailability shows the pages, or why there is nothing to show.
func (w *window) showAvailability() {
	s := w.now
	// What was known stays on the screen over a restart, without its buttons.
	keeps := s.Availability == dbus.Restarting && s.Manager.Version != ""
	if s.Availability == dbus.Available || keeps {
		w.States.SetVisibleChildName("content")
		w.Views.SetSensitive(!keeps)
		w.Waiting.SetSpinning(false)
		return
	}
	why := words.Availability(s)
	w.Reason.SetIconName(why.Icon)
	w.Reason.SetTitle(escape(why.Title))
	w.Reason.SetDescription(glib.MarkupEscapeText(why.Text, -1))
	w.Retry.SetLabel(why.Button)
	w.Retry.SetVisible(why.Button != "")
	w.Waiting.SetVisible(why.Waiting)
	w.Waiting.SetSpinning(why.Waiting)
	w.States.SetVisibleChildName("reason")
}

// tellRunning names each qube whose command began to run, where that is wanted.
func (w *window) tellRunning() {
	for _, q := range w.now.Qubes {
		began := q.Running > 0 && !w.ran[q.Name]
		w.ran[q.Name] = q.Running > 0
		switch {
		case began && w.app.prefs.Notify:
			w.app.tell("running-"+q.Name, fmt.Sprintf("%s runs a command in dom0", q.Name), "Open Qubes Remote to see it, or to stop it.")
		case q.Running == 0:
			w.app.app.WithdrawNotification("running-" + q.Name)
		}
	}
}
