//go:build gtk

package client

import (
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/standing"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// page is one page of the window.
type page interface {
	ui.Page
	report()          // how the qube stands has changed
	find()            // puts the cursor where one searches
	open(what string) // opens something within it: a request's id
	close()
}

// place is where a page is found, and how it is made.
type place struct {
	name, title, icon string
	build             func(*window) (page, error)
}

// places are the window's pages, in their order.
func places() []place {
	return []place{
		{"run", i18n.T("Run"), "qr-run-symbolic", newRun},
		{"history", i18n.T("History"), "qr-activity-symbolic", newHistory},
		{"files", i18n.T("Files"), "qr-files-symbolic", newFiles},
		{"key", i18n.T("Key"), "qr-key-symbolic", newKey},
		{"queue", i18n.T("Queue"), "qr-waiting-symbolic", newQueue},
		{"log", i18n.T("Log"), "qr-log-symbolic", newLog},
		{"backup", i18n.T("Backup"), "qr-backup-symbolic", newBackup},
	}
}

// Pages are the names that Options.Page may have.
func Pages() []string {
	var names []string
	for _, p := range places() {
		names = append(names, p.name)
	}
	return names
}

// window is the one window of the program.
type window struct {
	*ui.Shell
	*desk
	app   *App
	scope *ui.Scope
	pages map[string]page // those that were wanted before
	bin   *deleting       // of the page History; nil before it
	link  connection
}

// menuView is resources/client/menu.ui.
type menuView struct{ Menu *gio.Menu }

func newWindow(a *App) (*window, error) {
	w := &window{app: a, scope: ui.NewScope(a.Scope), pages: map[string]page{}}
	var menu menuView
	err := ui.Fill(&menu, "/org/qvmremote/Client/ui/menu.ui")
	if err != nil {
		return nil, err
	}
	w.desk = &desk{queue: a.queue, bell: a.bell}
	if w.Shell, err = ui.NewShell(w.scope, a.App, "Qubes Remote", ID, menu.Menu, w.showBanner); err != nil {
		return nil, err
	}
	w.over, w.toast = w.Top, w.Say
	w.link = newConnection(w.Footer)
	w.addActions()
	w.Size(a.Prefs.Width, a.Prefs.Height, a.Prefs.Maximized)
	w.Window.ConnectCloseRequest(w.closed)
	w.scope.Bind(w.Window, w.Window.NotifyProperty("is-active", func() {
		if w.Window.IsActive() {
			a.takeBack()
		}
	}))
	w.logFrames()
	w.ShowContent()
	return w, w.Place(w.offered(), w.first())
}

// offered are the pages as the shell takes them.
func (w *window) offered() []ui.Place {
	var all []ui.Place
	for _, p := range places() {
		all = append(all, ui.Place{Name: p.name, Title: p.title, Icon: p.icon, Make: func() (ui.Page, error) {
			made, err := p.build(w)
			if err != nil {
				return nil, err
			}
			w.pages[p.name] = made
			if w.told {
				made.report()
			}
			return made, nil
		}})
	}
	return all
}

// first is the page to begin with.
func (w *window) first() string {
	if w.app.options.Page != "" {
		return w.app.options.Page
	}
	return w.app.Prefs.Page
}

// page is one of the pages, made when it is first wanted; nil where there is
// none of that name.
func (w *window) page(name string) page {
	w.Page(name)
	return w.pages[name]
}

// front is the page that is seen, nil where there is none: what a key does, it
// does to no page that the sidebar hides.
func (w *window) front() page {
	if w.Covered() {
		return nil
	}
	return w.pages[w.Current()]
}

func (w *window) addActions() {
	w.Do("find", func() {
		if p := w.front(); p != nil {
			p.find()
		}
	})
	w.Do("run", func() {
		if t := w.task(); t != nil {
			t.start()
		}
	})
	w.Do("new-tab", func() {
		w.Show("run")
		if r, ok := w.front().(*runPage); ok {
			r.anotherTab()
		}
	})
	w.Do("close-tab", func() {
		if r, ok := w.front().(*runPage); !ok || !r.closeTask() {
			w.Window.Close()
		}
	})
	w.Do("attention", func() { w.Show("key") })
	w.Do("shortcuts", func() { w.Shortcuts("/org/qvmremote/Client/ui/shortcuts.ui") })
}

// openIn shows something on a page: a request of the history.
func (w *window) openIn(name, what string) {
	w.Show(name)
	if p := w.front(); p != nil {
		p.open(what)
	}
	w.Refresh()
}

// task is the command in front, nil where another page is.
func (w *window) task() *task {
	if r, ok := w.front().(*runPage); ok {
		return r.task()
	}
	return nil
}

// closed keeps how the window stands. It reports whether it is kept from
// closing: what has not ended is spoken of first.
func (w *window) closed() bool {
	w.app.Remember(w.Shell)
	return w.leaving(w.Window.Destroy)
}

func (w *window) quit() {
	w.app.Remember(w.Shell)
	if !w.leaving(w.app.App.Quit) {
		w.app.App.Quit()
	}
}

// leaving asks, where something has not ended, before it leaves; it reports
// whether it asks.
func (w *window) leaving(leave func()) bool {
	u := w.unfinished()
	if u == (unfinished{}) {
		return false
	}
	w.ask(w.scope, u.question(), leave)
	return true
}

// report shows how the qube stands.
func (w *window) report(s standing.Standing) {
	first := !w.told
	w.now, w.told = s, true
	for _, p := range w.pages {
		p.report()
	}
	w.link.show(s)
	w.showBanner()
	// Without a key nothing else can be done.
	if first && s.Trouble == nil && !s.HasKey() && w.app.options.Page == "" {
		w.Show("key")
	}
	w.Refresh()
}

// showBanner says the worst of what needs attention, over every page.
func (w *window) showBanner() {
	text, tone, icon := w.attention()
	w.Attention(text, tone, icon, w.now.Trouble == nil && w.Current() != "key")
}

// attention is what the banner says, "" for nothing.
func (w *window) attention() (text, tone, icon string) {
	s := w.now
	switch {
	case !w.told:
		return "", "", ""
	case s.Trouble != nil:
		return sentence(s.Trouble), "bad", "qr-failed-symbolic"
	case s.KeyProblem != nil:
		return sentence(s.KeyProblem), "bad", "qr-key-symbolic"
	case w.Current() == "key":
		return "", "", "" // which says the rest itself
	case !s.HasKey():
		return i18n.T("This qube has no key yet, so dom0 takes nothing from it."), "warn", "qr-key-symbolic"
	case !s.Connected && !s.Legacy:
		return i18n.T("dom0 does not look into this qube's queue now. What you send waits there for five minutes."), "warn", "qr-offline-symbolic"
	}
	return "", "", ""
}

// connection says below the pages whether dom0 looks into the queue.
type connection struct {
	icon *gtk.Image
	text *gtk.Label
}

func newConnection(at *gtk.Box) connection {
	c := connection{gtk.NewImage(), ui.NewLabel("")}
	c.text.SetWrap(true)
	at.Append(c.icon)
	at.Append(c.text)
	return c
}

func (c connection) show(s standing.Standing) {
	l := linkLook(s)
	c.icon.SetFromIconName(l.Icon)
	ui.SetTone(c.icon, string(l.Tone))
	text := l.Word
	if s.Qube != "" && s.Qube != queue.AnyQube {
		text = s.Qube + " · " + text
	}
	ui.SetText(c.text, text, 80)
	if box, ok := c.text.Parent().(*gtk.Box); ok {
		box.SetVisible(true)
	}
}
