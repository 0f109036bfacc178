//go:build gtk

package client

import (
	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"

	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// tabsView is resources/client/tabs.ui.
type tabsView struct {
	Root *gtk.Box
	Tabs *adw.TabView
	Menu *gio.Menu // over the output; one for all tabs, as each that is built stays for ever
}

// runPage is where commands are written and run, each in a tab of its own.
type runPage struct {
	tabsView
	*desk
	window *window
	scope  *ui.Scope
	tasks  map[uintptr]*task // by what is in the tab
	made   uint64            // how many tabs there were
	add    *gtk.Button       // in the window's bar
	saves  int               // outputs that are being written to files
	small  bool
}

func newRun(w *window) (page, error) {
	r := &runPage{desk: w.desk, window: w, scope: ui.NewScope(w.scope), tasks: map[uintptr]*task{}, small: true,
		add: ui.NewIconButton("qr-add-symbolic", i18n.T("New tab"))}
	if err := ui.Fill(&r.tabsView, "/org/qvmremote/Client/ui/tabs.ui"); err != nil {
		return nil, err
	}
	r.add.SetActionName("win.new-tab")
	r.add.SetVisible(false)
	w.Bar.PackEnd(r.add)
	s := r.scope
	s.OnClose(func() { w.Bar.Remove(r.add) })
	s.Bind(r.Tabs, r.Tabs.ConnectClosePage(func(p *adw.TabPage) bool {
		r.closing(p)
		return true
	}))
	s.Bind(r.Tabs, r.Tabs.NotifyProperty("selected-page", w.Refresh))
	_, err := r.newTask()
	return r, err
}

func (r *runPage) Widget() gtk.Widgetter { return r.Root }

func (r *runPage) Shown() {
	r.add.SetVisible(true)
	if t := r.task(); t != nil {
		t.Editor.GrabFocus()
	}
}

func (r *runPage) Hidden() { r.add.SetVisible(false) }

func (r *runPage) Narrow(narrow bool) {
	r.small = narrow
	for _, t := range r.tasks {
		t.narrow(narrow)
	}
}

func (r *runPage) Inner() string { return "" }
func (r *runPage) Leave()        {}
func (r *runPage) open(string)   {}
func (r *runPage) close()        { r.scope.Close() }

func (r *runPage) find() {
	if t := r.task(); t != nil {
		t.finder.begin()
	}
}

// report shows how the qube stands.
func (r *runPage) report() {
	for _, t := range r.tasks {
		t.show()
	}
}

// task is the one in front, nil where there is none.
func (r *runPage) task() *task {
	if p := r.Tabs.SelectedPage(); p != nil {
		return r.of(p)
	}
	return nil
}

func (r *runPage) of(p *adw.TabPage) *task { return r.tasks[key(p.Child())] }

func key(w gtk.Widgetter) uintptr { return coreglib.BaseObject(w).Native() }

// newTask makes a tab and shows it.
func (r *runPage) newTask() (*task, error) {
	r.made++
	t, err := newTask(r)
	if err != nil {
		return nil, err
	}
	r.tasks[key(t.Root)] = t
	t.tab = r.Tabs.Append(t.Root)
	t.title()
	t.narrow(r.small)
	r.Tabs.SetSelectedPage(t.tab)
	if r.Root.Mapped() { // a focus that nobody sees would keep the tab for ever
		t.Editor.GrabFocus()
	}
	return t, nil
}

// anotherTab is newTask for whoever pressed something.
func (r *runPage) anotherTab() *task {
	t, err := r.newTask()
	if err != nil {
		r.toast(err.Error())
	}
	return t
}

// choose shows the tab of a number, if it is still there.
func (r *runPage) choose(number uint64) {
	for _, t := range r.tasks {
		if t.number == number {
			r.Tabs.SetSelectedPage(t.tab)
		}
	}
}

// load puts a script into a tab, an unused one where there is one, without
// standard input, and runs nothing. A timeout of 0 is the usual one.
func (r *runPage) load(script string, timeout int64) {
	t := r.task()
	if t == nil || t.script() != "" || t.begun() {
		if t = r.anotherTab(); t == nil {
			return
		}
	}
	t.Editor.Buffer().SetText(script)
	t.setInput("")
	if timeout > 0 {
		t.Timeout.SetValue(float64(timeout))
	}
}

// running is how many commands have not ended.
func (r *runPage) running() (n int) {
	for _, t := range r.tasks {
		if t.busy() {
			n++
		}
	}
	return n
}

// closing is a tab that is to be closed: what runs in it is cancelled in dom0
// first, if the person wants that.
func (r *runPage) closing(p *adw.TabPage) {
	t := r.of(p)
	if t == nil || !t.busy() {
		r.closeTab(p)
		return
	}
	r.Tabs.ClosePageFinish(p, false)
	r.ask(r.scope, ui.Question{
		Heading: i18n.T("Cancel the command?"), Body: i18n.T("It has not ended. Closing its tab cancels it in dom0."),
		Action: i18n.T("Cancel it and close"), Keep: i18n.T("Let it run"), Harmful: true,
	}, func() {
		if !t.busy() { // it ended meanwhile
			r.Tabs.ClosePage(t.tab)
			return
		}
		t.cancelled = func() { r.Tabs.ClosePage(t.tab) }
		t.cancel()
	})
}

func (r *runPage) closeTab(p *adw.TabPage) {
	if t := r.of(p); t != nil {
		delete(r.tasks, key(t.Root))
		t.close()
	}
	r.Tabs.ClosePageFinish(p, true)
	if r.Tabs.NPages() == 0 && !r.scope.Closed() {
		ui.Soon(r.scope, func() { r.anotherTab() })
	}
}

// closeTask closes the tab in front; the last one stays.
func (r *runPage) closeTask() bool {
	if r.Tabs.NPages() < 2 {
		return false
	}
	r.Tabs.ClosePage(r.Tabs.SelectedPage())
	return true
}

// stillRunning is what a window that closes says of commands.
func stillRunning(n int) string {
	if n == 1 {
		return i18n.T("A command has not ended. It goes on in dom0, and its result waits in this qube's queue.")
	}
	return i18n.N(n, "%d command has not ended. It goes on in dom0, and its result waits in this qube's queue.",
		"%d commands have not ended. They go on in dom0, and their results wait in this qube's queue.", n)
}
