//go:build gtk

package client

import (
	"context"
	"errors"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/client/backlog"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// readLimit bounds how long one read for the screen may take.
const readLimit = 20 * time.Second

// historyView is resources/client/history.ui.
type historyView struct {
	Root         *gtk.Stack
	Search       *gtk.SearchEntry
	Outcome      *gtk.DropDown
	More         *gtk.MenuButton
	Problem      *gtk.Label
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
	Head         *gtk.Box
	Doubt        *gtk.Label
	Script       *adw.PreferencesGroup
	CopyScript   *gtk.Button
	Load         *gtk.Button
	ExportOne    *gtk.MenuButton
	Delete       *gtk.Button
	Output       *adw.PreferencesGroup
	Errors       *adw.PreferencesGroup
	Input        *adw.PreferencesGroup
	Facts        *adw.PreferencesGroup
}

// history is the page of all past commands, and one of them in full.
type history struct {
	historyView
	*desk
	window *window
	scope  *ui.Scope

	outcome *ui.Choice
	filter  archive.Filter
	look    *ui.Scope // of what is listed under this filter; nil before the first
	rows    *archive.Rows
	lines   *ui.Lines[ui.Moment, *ui.TimelineRow]
	done    bool // all was looked at
	looked  string
	asks    bool      // lines are being read
	drawn   func()    // says that the first rows are there: the rest comes after the next frame
	problem string    // why there is no list
	collect *ui.Scope // of taking in answers; nil while the page is not in front
	detail  *pastPane
	deleted *deleting
	export  *exporting
}

var outcomes = []struct {
	outcome archive.Outcome
	word    string
}{
	{archive.Any, i18n.T("Any outcome")}, {archive.Succeeded, i18n.T("Done")}, {archive.Failed, i18n.T("Failed")},
	{archive.Denied, i18n.T("Denied")}, {archive.Cancelled, i18n.T("Cancelled")}, {archive.Unanswered, i18n.T("No answer")},
	{archive.Unverified, i18n.T("Unverified")},
}

func newHistory(w *window) (page, error) {
	h := &history{desk: w.desk, window: w, scope: ui.NewScope(w.scope), rows: archive.NewRows()}
	if err := ui.Fill(&h.historyView, "/org/qvmremote/Client/ui/history.ui"); err != nil {
		return nil, err
	}
	h.lines = ui.NewLines(h.scope, ui.LinesView{List: h.List, Scroll: h.Scroll, Newest: h.Newest}, newPastRow, h.momentAt, h.fetch)
	h.outcome = ui.NewChoice(h.scope, h.Outcome, i18n.T("Outcome"), h.changed)
	var words []string
	for _, o := range outcomes {
		words = append(words, o.word)
	}
	h.outcome.Offer(words, 0)
	h.detail = newPastPane(h)
	h.deleted = newDeleting(h)
	h.export = newExporting(h)
	h.addActions()
	s := h.scope
	s.Bind(h.Search, h.Search.ConnectSearchChanged(h.changed))
	s.Bind(h.Search, h.Search.ConnectStopSearch(func() { h.Search.SetText("") }))
	s.Bind(h.List, h.List.ConnectActivate(func(position uint) { h.openRow(int(position)) }))
	s.Bind(h.Again, h.Again.ConnectClicked(h.begin))
	return h, nil
}

func (h *history) Widget() gtk.Widgetter { return h.Root }
func (h *history) Inner() string         { return h.detail.title }
func (h *history) Leave()                { h.detail.end() }
func (h *history) close()                { h.scope.Close() }
func (h *history) Narrow(narrow bool)    { h.lines.Narrow(narrow) }

// report begins again what could not be shown, once nothing is in its way.
func (h *history) report() {
	if h.problem != "" && h.now.Trouble == nil && h.Root.Mapped() {
		h.begin()
		h.takeIn()
	}
}

func (h *history) Shown() {
	if h.look == nil || h.problem != "" {
		h.begin()
	}
	h.takeIn()
	h.fetch()
	if h.detail.title == "" {
		h.List.GrabFocus() // not the search, whose cursor would blink for ever
	}
}

func (h *history) find() {
	h.detail.end()
	h.window.Refresh()
	h.Search.GrabFocus()
}

// open opens the request of an id.
func (h *history) open(id string) {
	look(h.scope, func(context.Context) (client.Entry, error) { return h.queue.Find(id) }, func(e client.Entry, err error) {
		if err != nil {
			h.failed(err)
			return
		}
		h.detail.begin(e)
	})
}

// changed begins again with what the controls say.
func (h *history) changed() {
	next := archive.Filter{Text: h.Search.Text()}
	if i := int(h.Outcome.Selected()); i < len(outcomes) {
		next.Outcome = outcomes[i].outcome
	}
	if next != h.filter {
		h.filter = next
		h.begin()
	}
}

// begin lists what fits the filter, and follows what becomes of it.
func (h *history) begin() {
	if h.look != nil {
		h.look.Close()
	}
	scope := ui.NewScope(h.scope)
	h.look, h.asks, h.problem, h.done, h.looked = scope, false, "", false, ""
	h.rows = archive.NewRows()
	h.lines.Clear()
	h.showState()
	filter, shown := h.filter, make(chan struct{})
	h.drawn = ui.AfterFrame(scope, h.List, func() { close(shown) })
	look(scope, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, archive.Follow(ctx, h.queue, filter, shown, func(c archive.Change) {
			ui.Soon(scope, func() { h.apply(c) })
		})
	}, func(_ struct{}, err error) {
		if errors.Is(err, context.Canceled) {
			return
		}
		h.problem = sentence(err)
		h.showState()
	})
}

// takeIn takes in answers that nobody waited for, as long as the page is in
// front; the list follows. Until then the page Queue has them.
func (h *history) takeIn() {
	h.Hidden()
	h.collect = ui.NewScope(h.scope)
	look(h.collect, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, backlog.Collect(ctx, h.queue)
	}, func(struct{}, error) {}) // the page Queue says what is wrong there
}

// Hidden stops taking in.
func (h *history) Hidden() {
	if h.collect != nil {
		h.collect.Close()
		h.collect = nil
	}
}

// apply has the list follow what changed.
func (h *history) apply(c archive.Change) {
	h.rows.Apply(c)
	changes := make([]ui.Splice, 0, len(c.Splices))
	for _, s := range c.Splices {
		changes = append(changes, ui.Splice{At: s.At, Removed: s.Removed, Added: len(s.Added)})
	}
	h.lines.Apply(changes...)
	h.done = c.Done()
	h.looked = ""
	if c.Of > 0 {
		h.looked = i18n.T("%d %% of the history was looked at.", 100*c.Looked/c.Of)
	}
	ui.SetText(h.Problem, sentence(c.Problem), 300)
	h.Problem.SetVisible(c.Problem != nil)
	h.showState()
	h.fetch()
	h.detail.follow(c)
}

// fetch reads what the rows say that can be seen, then those near.
func (h *history) fetch() {
	if h.asks || h.look == nil {
		return
	}
	seen := h.lines.InSight()
	want := h.rows.Next(seen.First, seen.Last)
	if len(want) == 0 {
		if h.rows.Len() > 0 {
			h.drawn()
		}
		bound := h.lines.Bound()
		want = h.rows.Next(bound.First, bound.Last)
	}
	if len(want) == 0 {
		return
	}
	h.asks = true
	look(h.look, func(ctx context.Context) ([]client.Past, error) {
		ctx, stop := context.WithTimeout(ctx, readLimit)
		defer stop()
		return h.queue.Past(ctx, want)
	}, func(lines []client.Past, err error) {
		h.asks = false
		if err != nil {
			h.failed(err)
			return
		}
		bound := h.lines.Bound()
		h.rows.Take(want, lines, bound.First, bound.Last)
		h.lines.Refresh()
		h.fetch()
	})
}

// newPastRow has no place for a qube: all are of this one.
func newPastRow() *ui.TimelineRow {
	row := ui.NewTimelineRow()
	row.WithoutQube()
	return row
}

// momentAt is what the row at a position shows, if its entry was read.
func (h *history) momentAt(position int) (m ui.Moment, known bool) {
	p, known := h.rows.Line(position)
	if !known {
		return ui.Moment{}, false
	}
	m = pastMoment(p)
	if e, _ := h.rows.Entry(position); position == 0 || h.dayBefore(position) != e.Day {
		m.Day = dayOf(e)
	}
	return m, true
}

// dayBefore is the day of the entry above.
func (h *history) dayBefore(position int) string {
	e, _ := h.rows.Entry(position - 1)
	return e.Day
}

// showState shows the list, or what stands in its place.
func (h *history) showState() {
	title, text := "", ""
	switch {
	case h.problem != "":
		title, text = i18n.T("The history cannot be shown"), h.problem
	case h.rows.Len() > 0:
	case !h.done:
		title, text = i18n.T("Searching…"), h.looked
	case h.filter.None():
		title, text = i18n.T("Nothing was run yet"), i18n.T("Every command that this qube sends to dom0 will be here, with its result.")
	default:
		title, text = i18n.T("Nothing was found"), i18n.T("No past command fits what you are looking for.")
	}
	if title == "" {
		h.States.SetVisibleChildName("list")
		return
	}
	h.Again.SetVisible(h.problem != "")
	h.None.SetTitle(glib.MarkupEscapeText(title, -1))
	h.None.SetDescription(glib.MarkupEscapeText(text, -1))
	h.States.SetVisibleChildName("none")
}

func (h *history) openRow(position int) {
	if e, ok := h.rows.Entry(position); ok {
		h.detail.begin(e)
		h.window.Refresh()
	}
}
