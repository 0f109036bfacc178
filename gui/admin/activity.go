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
	rows    *ui.Rows
	bound   map[uintptr]*boundRow // by list item
	late    *ui.Late
	small   bool
	asks    bool   // a fetch is under way
	problem string // why nothing can be shown
	filters *filters
	detail  *detailPane
	export  *export
}

// boundRow is a row that is on the screen, or near.
type boundRow struct {
	item  *gtk.ListItem
	row   *ui.TimelineRow
	live  bool // between bind and unbind
	late  bool // it is filled in one of the next frames
	shown ui.Moment
	named string
}

func newActivity(w *window) (page, error) {
	a := &activity{desk: w.desk, window: w, scope: ui.NewScope(w.scope), rows: ui.NewRows(), bound: map[uintptr]*boundRow{}}
	if err := ui.Fill(&a.activityView, "/org/qvmremote/Admin/ui/activity.ui"); err != nil {
		return nil, err
	}
	a.filters = newFilters(a)
	a.detail = newDetailPane(a)
	a.export = newExport(a)
	a.late = ui.NewLate(a.scope, a.List, a.showLate)
	a.List.SetFactory(&a.factory().ListItemFactory)
	a.List.SetModel(gtk.NewNoSelection(a.rows.Model()))
	a.scope.Bind(a.List, a.List.ConnectActivate(func(position uint) { a.openRow(int(position)) }))
	ui.Home(a.scope, a.List, a.Scroll)
	a.scope.Bind(a.Newest, a.Newest.ConnectClicked(a.toTop))
	adjustment := a.Scroll.VAdjustment()
	a.scope.Bind(adjustment, adjustment.ConnectValueChanged(a.scrolled))
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
	for _, b := range a.bound {
		b.row.Narrow(narrow)
	}
	a.Choose.SetVisible(narrow)
	a.showFilters()
}

// showFilters hides the choices where there is little room, until one asks.
func (a *activity) showFilters() { a.Filters.SetVisible(!a.small || a.Choose.Active()) }

func (a *activity) report(fresh bool, news []dbus.News) {
	a.filters.report()
	a.export.report()
	if !a.usable() {
		return
	}
	switch {
	case a.model == nil:
		if a.visible {
			a.begin()
		}
		return
	case fresh:
		a.begin()
		return
	}
	changes, again := a.model.Add(news)
	if again {
		a.begin()
		return
	}
	a.apply(changes)
	a.fetch()
}

// begin shows the log under the filter that is set, from its newest record on.
func (a *activity) begin() {
	if !a.usable() {
		return
	}
	if a.look != nil {
		a.look.Close()
	}
	a.look, a.asks, a.problem = ui.NewScope(a.scope), false, ""
	a.model = timeline.New(a.filters.now, a.now.Manager.AuditHead)
	a.rows.Splice(0, a.rows.Len(), a.model.Len())
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
	seen := a.inSight()
	want, ok := a.model.Next(seen.first, seen.last)
	if !ok {
		bound := a.range_()
		want, ok = a.model.Next(bound.first, bound.last)
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

// span is some rows, from the first to the last.
type span struct{ first, last int }

func (s span) has(position int) bool { return position >= s.first && position <= s.last }

// inSight is about from which to which row one sees, by the scroll bar: it is
// right before GTK has given the rows their places, and rows are of one height
// but for the first of each day.
func (a *activity) inSight() span {
	v := a.Scroll.VAdjustment()
	row := max(v.Upper(), 1) / float64(max(a.model.Len(), 1))
	return span{int(v.Value() / row), int((v.Value() + v.PageSize()) / row)}
}

// range_ is from which to which row something is bound; the first rows while
// that is none.
func (a *activity) range_() span {
	s := span{first: -1}
	for _, b := range a.bound {
		if !b.live {
			continue
		}
		p := int(b.item.Position())
		if s.first < 0 || p < s.first {
			s.first = p
		}
		s.last = max(s.last, p)
	}
	s.first = max(s.first, 0)
	return s
}

// apply has the list follow the model.
func (a *activity) apply(changes []timeline.Splice) {
	if len(changes) == 0 {
		return
	}
	top := a.atTop()
	same := true
	for _, c := range changes {
		if c.Removed == c.Added {
			continue // other contents in the same rows
		}
		same = false
		// Rows that stay only change what they show: GTK makes anew what comes
		// and goes, and two hundred of that take longer than a frame may.
		stay := min(c.Removed, c.Added)
		a.rows.Splice(c.At+stay, c.Removed-stay, c.Added-stay)
	}
	a.refreshRows()
	if top && !same {
		a.toTop()
	}
	a.showState()
}

func (a *activity) atTop() bool { return a.Scroll.VAdjustment().Value() < 1 }

func (a *activity) toTop() {
	a.Scroll.VAdjustment().SetValue(0)
	a.Newest.SetVisible(false)
}

func (a *activity) scrolled() {
	a.Newest.SetVisible(a.Scroll.VAdjustment().Value() > 2000)
	a.scrollRows()
	a.fetch()
}

// showState shows the list, or what stands in its place.
func (a *activity) showState() {
	title, text := "", ""
	switch {
	case a.problem != "":
		title, text = "The record cannot be shown", a.problem
	case a.model == nil || a.model.Len() > 0:
	case a.model.Searching():
		title, text = "Searching…", words.Percent(a.model.Reached())+" of the record was looked at."
	case a.filters.now.None():
		title, text = "Nothing has happened yet", "What qubes ask for, what ran and how it ended will be here."
	default:
		title, text = "Nothing was found", "Nothing in the record fits what you are looking for."
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
