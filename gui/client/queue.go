//go:build gtk

package client

import (
	"context"
	"errors"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/backlog"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// queueView is resources/client/queue.ui.
type queueView struct {
	Root    *gtk.Box
	Summary *gtk.Label
	Clean   *gtk.Button
	States  *gtk.Stack
	Scroll  *gtk.ScrolledWindow
	List    *gtk.ListView
	None    *adw.StatusPage
	Again   *gtk.Button
}

// queuePage is what lies in the queue: what waits for dom0, what runs, and what
// is left over.
type queuePage struct {
	queueView
	*desk
	window *window
	scope  *ui.Scope

	look    *ui.Scope // of what is followed; nil while the page is not in front
	list    backlog.List
	told    bool
	lines   *ui.Lines[queueLine, *queueRow]
	problem string
	ending  map[string]bool // ids that are being cancelled
}

func newQueue(w *window) (page, error) {
	q := &queuePage{desk: w.desk, window: w, scope: ui.NewScope(w.scope), ending: map[string]bool{}}
	if err := ui.Fill(&q.queueView, "/org/qvmremote/Client/ui/queue.ui"); err != nil {
		return nil, err
	}
	q.lines = ui.NewLines(q.scope, ui.LinesView{List: q.List, Scroll: q.Scroll}, newQueueRow, q.lineAt, func() {})
	group := gio.NewSimpleActionGroup()
	cancel := gio.NewSimpleAction("cancel", glib.NewVariantType("s"))
	cancel.ConnectActivate(func(id *glib.Variant) { q.cancel(id.String()) })
	group.AddAction(cancel)
	q.Root.InsertActionGroup("queue", group)
	s := q.scope
	s.OnClose(func() { q.Root.InsertActionGroup("queue", nil) })
	s.Bind(q.List, q.List.ConnectActivate(func(position uint) { q.openRow(int(position)) }))
	s.Bind(q.Clean, q.Clean.ConnectClicked(q.clean))
	s.Bind(q.Again, q.Again.ConnectClicked(q.begin))
	q.showState()
	return q, nil
}

func (q *queuePage) Widget() gtk.Widgetter { return q.Root }
func (q *queuePage) Inner() string         { return "" }
func (q *queuePage) Leave()                {}
func (q *queuePage) find()                 { q.List.GrabFocus() }
func (q *queuePage) open(string)           {}
func (q *queuePage) close()                { q.scope.Close() }
func (q *queuePage) Narrow(narrow bool)    { q.lines.Narrow(narrow) }

// report begins again what could not be shown, once nothing is in its way.
func (q *queuePage) report() {
	if q.problem != "" && q.now.Trouble == nil && q.Root.Mapped() {
		q.begin()
	}
}

func (q *queuePage) Shown() {
	q.begin()
	q.List.GrabFocus()
}

// Hidden stops following: ages are told again now and then while the page is in
// front.
func (q *queuePage) Hidden() {
	if q.look != nil {
		q.look.Close()
		q.look = nil
	}
}

// begin follows the queue.
func (q *queuePage) begin() {
	q.Hidden()
	scope := ui.NewScope(q.scope)
	q.look, q.problem = scope, ""
	look(scope, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, backlog.Follow(ctx, q.queue, func(l backlog.List) {
			ui.Soon(scope, func() { q.take(l) })
		})
	}, func(_ struct{}, err error) {
		q.problem = sentence(err)
		q.showState()
	})
}

func (q *queuePage) take(l backlog.List) {
	q.list, q.told = l, true
	q.lines.Apply(ui.Splice{Removed: q.lines.Len(), Added: len(l.Requests)})
	q.showState()
}

// showState says how much there is, and shows the list or what stands in its
// place.
func (q *queuePage) showState() {
	title, text := "", ""
	switch {
	case q.problem != "":
		title, text = i18n.T("The queue cannot be shown"), q.problem
	case !q.told:
		title = i18n.T("Looking…")
	case len(q.list.Requests) == 0:
		title, text = i18n.T("The queue is empty"), i18n.T("What this qube sends waits here until dom0 takes it, and is here while it runs.")
	}
	q.Clean.SetSensitive(q.list.Stale > 0)
	q.Clean.SetTooltipText(i18n.T("Removes what belongs to nothing that could still be answered"))
	ui.SetText(q.Summary, q.summary(), 200)
	if title == "" {
		q.States.SetVisibleChildName("list")
		return
	}
	q.Again.SetVisible(q.problem != "")
	q.None.SetTitle(glib.MarkupEscapeText(title, -1))
	q.None.SetDescription(glib.MarkupEscapeText(text, -1))
	q.States.SetVisibleChildName("none")
}

func (q *queuePage) summary() string {
	n := map[client.Stage]int{}
	for _, r := range q.list.Requests {
		n[r.Stage]++
	}
	taken, waiting, answered, left := n[client.StageRunning], n[client.StagePending], n[client.StageAnswered], n[client.StageLeftover]
	var parts []string
	for _, s := range []struct {
		n    int
		text string
	}{
		{taken, i18n.T("%d taken by dom0", taken)}, {waiting, i18n.T("%d waiting", waiting)},
		{answered, i18n.T("%d answered", answered)}, {left, i18n.T("%d left over", left)},
		{q.list.More, i18n.N(q.list.More, "%d more file", "%d more files", q.list.More)},
	} {
		if s.n > 0 {
			parts = append(parts, s.text)
		}
	}
	return strings.Join(parts, " · ")
}

func (q *queuePage) openRow(position int) {
	if position < len(q.list.Requests) && q.list.Requests[position].Own {
		q.window.openIn("history", q.list.Requests[position].ID)
	}
}

// cancel takes a request back, and says what became of it.
func (q *queuePage) cancel(id string) {
	if q.ending[id] {
		return
	}
	q.ending[id] = true
	q.lines.Refresh()
	look(q.scope, func(ctx context.Context) (client.Outcome, error) {
		ctx, stop := context.WithTimeout(ctx, readLimit)
		defer stop()
		t, err := q.queue.Ticket(id)
		if err != nil {
			return client.Outcome{}, err
		}
		return q.queue.Cancel(ctx, t)
	}, func(o client.Outcome, err error) {
		delete(q.ending, id)
		q.lines.Refresh()
		switch {
		case errors.Is(err, client.ErrNotConfirmed):
			q.toast(i18n.T("The cancel was sent. dom0 has not confirmed it yet."))
		case err != nil:
			q.failed(err)
		case o.State == queue.StateCancelled:
			q.toast(i18n.T("It was cancelled; dom0 confirms it."))
		default:
			q.toast(endedBefore(o))
		}
	})
}

// endedBefore says how a request ended that was to be cancelled, and whether
// that is dom0's own word.
func endedBefore(o client.Outcome) string {
	how := endLook(client.Past{State: o.State, Exit: o.Exit}).Word
	if !o.Signed {
		return i18n.T("It had ended before: %s; not confirmed by dom0: the answer has no signature.", how)
	}
	return i18n.T("It had ended before: %s.", how)
}

// clean removes what is stale, once a person agreed to it.
func (q *queuePage) clean() {
	n := q.list.Stale
	q.ask(q.scope, ui.Question{
		Heading: i18n.N(n, "Remove %d leftover?", "Remove %d leftovers?", n),
		Body:    i18n.T("Nothing that could still be answered is removed. What waits or runs stays, and an answer that nobody came for goes to the history."),
		Action:  i18n.T("Remove"), Harmful: true,
	}, func() {
		look(q.scope, func(ctx context.Context) (int, error) { return q.queue.Clean(ctx, false) }, func(files int, err error) {
			if err != nil {
				q.failed(err)
				return
			}
			q.toast(i18n.N(files, "%d file removed.", "%d files removed.", files))
		})
	})
}
