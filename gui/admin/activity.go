//go:build gtk

package admin

import (
	"context"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/timeline"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

type activityView struct {
	Root         *gtk.Stack
	Search       *gtk.SearchEntry
	Pattern      *gtk.ToggleButton
	Choose       *gtk.ToggleButton
	Wrong        *gtk.Label
	Filters      *gtk.FlowBox
	Qube         *gtk.DropDown
	Kind         *gtk.DropDown
	Since        *gtk.DropDown
	More         *gtk.MenuButton
	States       *gtk.Stack
	Scroll       *gtk.ScrolledWindow
	List         *gtk.ListView
	None         *adw.StatusPage
	Again        *gtk.Button
	Newest       *gtk.Button
	Progress     *gtk.Revealer
	ProgressText *gtk.Label
	GiveUp       *gtk.Button
	Detail       *gtk.ScrolledWindow
	DetailBox    *gtk.Box
	Head         *gtk.Box
	Script       *adw.PreferencesGroup
	CopyScript   *gtk.Button
	Output       *adw.PreferencesGroup
	Errors       *adw.PreferencesGroup
	Facts        *adw.PreferencesGroup
	Steps        *adw.PreferencesGroup
	Proof        *adw.PreferencesGroup
}

// activity is the page of what happened: a live timeline of the audit log, and
// one request or event in full.
type activity struct {
	activityView
	*desk
	window  *window
	scope   *ui.Scope
	visible bool

	look    *ui.Scope // of what is fetched for this filter
	model   *timeline.Model
	lines   *ui.Lines[ui.Moment, *ui.TimelineRow]
	small   bool
	another bool   // since the model was made the log may have become another one
	asks    bool   // a fetch is under way
	problem string // why nothing can be shown
	filters *filters
	detail  *detailPane
	export  *export
}

func newActivity(w *window) (page, error) {
	a := &activity{desk: w.desk, window: w, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&a.activityView, "/org/qvmremote/Admin/ui/activity.ui"); err != nil {
		return nil, err
	}
	a.filters = newFilters(a)
	a.detail = newDetailPane(a)
	a.export = newExport(a)
	a.lines = ui.NewLines(a.scope, ui.LinesView{List: a.List, Scroll: a.Scroll, Newest: a.Newest}, ui.NewTimelineRow, a.momentAt, a.fetch)
	a.scope.Bind(a.List, a.List.ConnectActivate(func(position uint) { a.openRow(int(position)) }))
	a.scope.Bind(a.Again, a.Again.ConnectClicked(a.again))
	a.scope.Bind(a.Choose, a.Choose.ConnectToggled(a.showFilters))
	a.addActions()
	return a, nil
}

func (a *activity) Widget() gtk.Widgetter { return a.Root }
func (a *activity) Inner() string         { return a.detail.title }
func (a *activity) Leave()                { a.detail.end() }
func (a *activity) find()                 { a.Search.GrabFocus() }
func (a *activity) open(qube string)      { a.filters.showQube(qube) }
func (a *activity) close()                { a.scope.Close() }
func (a *activity) Hidden()               { a.visible = false }

func (a *activity) Shown() {
	a.visible = true
	if a.model == nil {
		a.begin()
	}
	a.fetch()
	a.List.GrabFocus() // not the search, whose cursor would blink for ever
}

func (a *activity) Narrow(narrow bool) {
	a.small = narrow
	a.lines.Narrow(narrow)
	a.detail.steps.narrow(narrow)
	a.Choose.SetVisible(narrow)
	a.showFilters()
}

// showFilters hides the choices where there is little room, until one asks.
func (a *activity) showFilters() { a.Filters.SetVisible(!a.small || a.Choose.Active()) }

func (a *activity) report(fresh bool, news []dbus.News) {
	a.filters.report()
	a.export.report()
	if a.model == nil {
		if a.visible {
			a.begin()
		}
		return
	}
	// Also while the service is away: neither is told twice.
	a.another = a.another || fresh
	if !a.another {
		changes, again := a.model.Add(news)
		a.another = again
		a.apply(changes)
	}
	if a.another {
		a.begin()
		return
	}
	a.fetch()
}

// begin shows the log under the filter that is set, where one was in it.
func (a *activity) begin() {
	if !a.usable() {
		return
	}
	if a.look != nil {
		a.look.Close()
	}
	a.look, a.asks, a.problem = ui.NewScope(a.scope), false, ""
	a.another = false
	a.model = timeline.New(a.filters.now, a.now.Manager.AuditHead)
	a.lines.Apply(ui.Splice{Removed: a.lines.Len(), Added: a.model.Len()})
	a.showState()
	a.fetch()
}

// again asks once more after something went wrong. What was asked before was
// asked by the program itself; now a person does, whom polkit may ask back.
func (a *activity) again() {
	a.do(a.scope, a.Again, func(ctx context.Context, c *dbus.Client) error {
		_, _, err := c.QueryAudit(ctx, dbus.Filter{}, 0, 1)
		return err
	}, func(err error) {
		if err == nil {
			a.begin()
		}
	})
}

func (a *activity) fail(err error) {
	a.problem = words.Error(err)
	a.showState()
}

// fetch asks for what the rows on the screen need, one question at a time.
func (a *activity) fetch() {
	if a.asks || !a.visible || a.model == nil || a.problem != "" || !a.usable() {
		return
	}
	// What can be seen comes first, then what GTK has rows for besides.
	seen := a.lines.InSight()
	want, ok := a.model.Next(seen.First, seen.Last)
	if !ok {
		bound := a.lines.Bound()
		want, ok = a.model.Next(bound.First, bound.Last)
	}
	a.showState()
	if !ok {
		return
	}
	a.asks = true
	look(a.desk, a.look, func(ctx context.Context, c *dbus.Client) (timeline.Answer, error) {
		answer := want.Fetch(ctx, c)
		return answer, answer.Err
	}, func(answer timeline.Answer, err error) {
		a.asks = false
		if err != nil {
			a.fail(err)
			return
		}
		a.apply(a.model.Take(answer))
		a.fetch()
	})
}

// apply has the list follow the model.
func (a *activity) apply(changes []timeline.Splice) {
	if len(changes) == 0 {
		return
	}
	all := make([]ui.Splice, 0, len(changes))
	for _, c := range changes {
		all = append(all, ui.Splice(c))
	}
	a.lines.Apply(all...)
	a.showState()
}

// showState shows the list, or what stands in its place.
func (a *activity) showState() {
	title, text := "", ""
	switch {
	case a.problem != "":
		title, text = i18n.T("The record cannot be shown"), a.problem
	case a.model == nil || a.model.Len() > 0:
	case a.model.Searching():
		title, text = i18n.T("Searching…"), i18n.T("%s of the record was looked at.", words.Percent(a.model.Reached()))
	case a.filters.now.None():
		title, text = i18n.T("Nothing has happened yet"), i18n.T("What qubes ask for, what ran and how it ended will be here.")
	default:
		title, text = i18n.T("Nothing was found"), i18n.T("Nothing in the record fits what you are looking for.")
	}
	if title == "" {
		a.States.SetVisibleChildName("list")
		return
	}
	a.Again.SetVisible(a.problem != "")
	a.None.SetTitle(escape(title))
	a.None.SetDescription(escape(text))
	a.States.SetVisibleChildName("none")
}

func (a *activity) openRow(position int) {
	if a.model == nil {
		return
	}
	if r, ok := a.model.Row(position); ok {
		a.detail.begin(r)
		a.window.Refresh()
	}
}
