//go:build gtk

package admin

import (
	"slices"

	"github.com/diamondburned/gotk4/pkg/gio/v2"

	"qvmremote/dbus"
	"qvmremote/gui/link"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// page is one page of the window.
type page interface {
	ui.Page
	// report is what the service said; news come in their order, to every page
	// whether or not it is shown. fresh says that they may be another log's.
	report(fresh bool, news []dbus.News)
	find()            // puts the cursor where one searches
	open(what string) // opens something within it: a qube
	close()
}

// pages are the window's, in their order.
var pages = []struct{ name, title, icon string }{
	{"overview", i18n.T("Overview"), "qr-overview-symbolic"},
	{"qubes", i18n.T("Qubes"), "qr-qubes-symbolic"},
	{"requests", i18n.T("Requests"), "qr-requests-symbolic"},
	{"activity", i18n.T("Activity"), "qr-activity-symbolic"},
}

// makers make the pages, in the same order.
func makers() []func(*window) (page, error) {
	return []func(*window) (page, error){newOverview, newQubes, newRequests, newActivity}
}

// window is the one window of the program.
type window struct {
	*ui.Shell
	*desk
	app   *App
	scope *ui.Scope
	pages map[string]page // those that were wanted before
	told  bool            // what the service says is known
	ran   map[string]bool // qubes whose commands were running at the last report
	lasts *lasts
	count requestCount
}

// menuView is resources/admin/menu.ui.
type menuView struct{ Menu *gio.Menu }

func newWindow(a *App) (*window, error) {
	w := &window{app: a, scope: ui.NewScope(a.Scope), pages: map[string]page{}, ran: map[string]bool{}}
	var menu menuView
	err := ui.Fill(&menu, "/org/qvmremote/Admin/ui/menu.ui")
	if err != nil {
		return nil, err
	}
	if w.Shell, err = ui.NewShell(w.scope, a.App, "Qubes Remote", ID, menu.Menu, w.showBanner); err != nil {
		return nil, err
	}
	w.desk = &desk{labels: map[string]string{}, over: w.Top, toast: w.Say}
	w.desk.now = dbus.Snapshot{Availability: dbus.Connecting, Stale: true}
	w.lasts = newLasts(w.desk, w.scope)
	w.addActions()
	w.logFrames()
	w.Size(a.Prefs.Width, a.Prefs.Height, a.Prefs.Maximized)
	w.Window.ConnectCloseRequest(w.closed)
	first := a.options.Page
	if !slices.Contains(Pages(), first) {
		first = a.Prefs.Page
	}
	err = w.Place(w.places(), first)
	w.count = newRequestCount(w.Row("requests"))
	return w, err
}

// places are the pages as the shell takes them.
func (w *window) places() []ui.Place {
	var all []ui.Place
	for i, p := range pages {
		all = append(all, ui.Place{Name: p.name, Title: p.title, Icon: p.icon, Make: func() (ui.Page, error) { return w.make(i) }})
	}
	return all
}

func (w *window) make(i int) (ui.Page, error) {
	made, err := makers()[i](w)
	if err != nil {
		return nil, err
	}
	w.pages[pages[i].name] = made
	if w.told {
		made.report(true, nil)
	}
	return made, nil
}

// page is one of the pages, made when it is first wanted; nil where there is
// none of that name.
func (w *window) page(name string) page {
	w.Page(name)
	return w.pages[name]
}

// front is the page in front, nil where there is none.
func (w *window) front() page { return w.pages[w.Current()] }

func (w *window) addActions() {
	w.Do("retry", func() { w.app.link.Retry() })
	w.Do("search", func() {
		w.Show("activity")
		if p := w.front(); p != nil {
			p.find()
		}
	})
	w.Do("attention", w.showAttention)
	w.Do("authorise", func() { w.authorise("") })
	w.Do("pause", w.pauseOrGoOn)
	w.Do("shortcuts", func() { w.Shortcuts("/org/qvmremote/Admin/ui/shortcuts.ui") })
}

// closed reports whether the window only hides.
func (w *window) closed() bool {
	w.remember()
	if w.app.stays {
		w.Conceal()
	}
	return w.app.stays
}

// remember keeps how the window stands for the next time.
func (w *window) remember() { w.app.Remember(w.Shell) }

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
	w.Refresh()
}

// showAvailability shows the pages, or why there is nothing to show.
func (w *window) showAvailability() {
	s := w.now
	// What was known stays on the screen over a restart, without its buttons.
	keeps := s.Availability == dbus.Restarting && s.Manager.Version != ""
	if s.Availability == dbus.Available || keeps {
		w.ShowContent()
		w.Views.SetSensitive(!keeps)
		return
	}
	why := words.Availability(s)
	w.ShowAbsence(ui.Absence{Icon: why.Icon, Title: why.Title, Text: why.Text, Button: why.Button, Waiting: why.Waiting})
}

// tellRunning names each qube whose command began to run, where that is wanted.
func (w *window) tellRunning() {
	for _, q := range w.now.Qubes {
		began := q.Running > 0 && !w.ran[q.Name]
		w.ran[q.Name] = q.Running > 0
		switch {
		case began && w.app.Prefs.Notify:
			w.app.tell("running-"+q.Name, i18n.T("%s runs a command in dom0", q.Name), i18n.T("Open Qubes Remote to see it, or to stop it."))
		case q.Running == 0:
			w.app.App.WithdrawNotification("running-" + q.Name)
		}
	}
}
