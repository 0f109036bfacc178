//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/client"
	"qvmremote/client/backlog"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
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
	lines   *lines
	small   bool
	problem string
	ending  map[string]bool // ids that are being cancelled
}

func newQueue(w *window) (page, error) {
	q := &queuePage{desk: w.desk, window: w, scope: ui.NewScope(w.scope), ending: map[string]bool{}}
	if err := ui.Fill(&q.queueView, "/org/qvmremote/Client/ui/queue.ui"); err != nil {
		return nil, err
	}
	q.lines = newLines(q.scope, q.List, q.Scroll, func() gtk.Widgetter { return newQueueRow(q.small) }, q.fillRow)
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

func (q *queuePage) Narrow(narrow bool) {
	q.small = narrow
	q.lines.each(func(w gtk.Widgetter) {
		if r, ok := w.(*queueRow); ok {
			r.narrow(narrow)
		}
	})
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
	q.lines.splice(0, len(q.list.Requests), len(l.Requests))
	q.list, q.told = l, true
	q.lines.refresh()
	q.showState()
}

// showState says how much there is, and shows the list or what stands in its
// place.
func (q *queuePage) showState() {
	title, text := "", ""
	switch {
	case q.problem != "":
		title, text = "The queue cannot be shown", q.problem
	case !q.told:
		title = "Looking…"
	case len(q.list.Requests) == 0:
		title, text = "The queue is empty", "What this qube sends waits here until dom0 takes it, and is here while it runs."
	}
	q.Clean.SetSensitive(q.list.Stale > 0)
	q.Clean.SetTooltipText("Removes what belongs to nothing that could still be answered")
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
	var parts []string
	for _, s := range []struct {
		stage client.Stage
		word  string
	}{{client.StageRunning, "taken by dom0"}, {client.StagePending, "waiting"}, {client.StageAnswered, "answered"}, {client.StageLeftover, "left over"}} {
		if n[s.stage] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s.stage], s.word))
		}
	}
	if q.list.More > 0 {
		parts = append(parts, say.Count(q.list.More, "more file"))
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
	q.lines.refresh()
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
		q.lines.refresh()
		switch {
		case errors.Is(err, client.ErrNotConfirmed):
			q.toast("The cancel was sent. dom0 has not confirmed it yet.")
		case err != nil:
			q.toast(sentence(err))
		case o.State == queue.StateCancelled:
			q.toast("It was cancelled; dom0 confirms it.")
		default:
			q.toast(endedBefore(o))
		}
	})
}

// endedBefore says how a request ended that was to be cancelled, and whether
// that is dom0's own word.
func endedBefore(o client.Outcome) string {
	text := "It had ended before: " + endLook(client.Past{State: o.State, Exit: o.Exit}).Word
	if !o.Signed {
		text += "; not confirmed by dom0: the answer has no signature"
	}
	return text + "."
}

// clean removes what is stale, once a person agreed to it.
func (q *queuePage) clean() {
	n := say.Count(q.list.Stale, "leftover")
	q.ask(q.scope, ui.Question{
		Heading: "Remove " + n + "?",
		Body:    "They belong to nothing that could still be answered. What waits or runs stays, and an answer that nobody came for goes to the history.",
		Action:  "Remove", Harmful: true,
	}, func() {
		look(q.scope, func(ctx context.Context) (int, error) { return q.queue.Clean(ctx, false) }, func(files int, err error) {
			if err != nil {
				q.toast(sentence(err))
				return
			}
			q.toast(say.Count(files, "file") + " removed.")
		})
	})
}

// queueRow shows one request of the queue.
type queueRow struct {
	*gtk.Grid
	icon   *gtk.Image
	text   *gtk.Label
	since  *gtk.Label
	pill   ui.Pill
	cancel *gtk.Button
	small  bool
}

func newQueueRow(narrow bool) *queueRow {
	r := &queueRow{Grid: gtk.NewGrid(), icon: gtk.NewImage(), text: ui.NewLabel("", "timeline-text"), since: ui.NewLabel("", "dim-label", "caption"),
		pill: ui.NewPill(), cancel: gtk.NewButtonWithLabel("Cancel")}
	r.AddCSSClass("timeline-row")
	r.SetColumnSpacing(12)
	r.SetRowSpacing(3)
	r.text.SetEllipsize(pango.EllipsizeEnd)
	r.text.SetHExpand(true)
	r.text.SetSingleLineMode(true)
	r.since.SetEllipsize(pango.EllipsizeEnd)
	r.cancel.SetVAlign(gtk.AlignCenter)
	r.pill.SetHAlign(gtk.AlignEnd)
	r.Attach(r.icon, 0, 0, 1, 2)
	r.Attach(r.text, 1, 0, 1, 1)
	r.Attach(r.since, 1, 1, 1, 1)
	r.Attach(r.pill, 2, 0, 1, 2)
	r.Attach(r.cancel, 3, 0, 1, 2)
	r.narrow(narrow)
	return r
}

// narrow puts the pill below the text, or back.
func (r *queueRow) narrow(narrow bool) {
	if narrow == r.small {
		return
	}
	r.small = narrow
	r.Remove(r.pill)
	if narrow {
		r.pill.SetHAlign(gtk.AlignStart)
		r.Attach(r.pill, 1, 2, 1, 1)
	} else {
		r.pill.SetHAlign(gtk.AlignEnd)
		r.Attach(r.pill, 2, 0, 1, 2)
	}
}

// fillRow shows the request at a position.
func (q *queuePage) fillRow(w gtk.Widgetter, position int) string {
	r, ok := w.(*queueRow)
	if !ok || position >= len(q.list.Requests) {
		return ""
	}
	x := q.list.Requests[position]
	l := queuedLook(x)
	r.icon.SetFromIconName(l.Icon)
	ui.SetTone(r.icon, string(l.Tone))
	r.pill.Set(l.Word, string(l.Tone))
	text := x.Command
	r.text.SetCSSClasses([]string{"timeline-text", "monospace"})
	if text == "" {
		text = x.Name
		r.text.SetCSSClasses([]string{"timeline-text"})
	}
	ui.SetText(r.text, text, 300)
	age := "since " + say.Clock(x.Since) + howLong(x.Age)
	ui.SetText(r.since, age, 100)
	may := x.Own && (x.Stage == client.StagePending || x.Stage == client.StageRunning)
	r.cancel.SetVisible(may)
	if may {
		r.cancel.SetActionTargetValue(glib.NewVariantString(x.ID))
		r.cancel.SetActionName("queue.cancel")
		r.cancel.SetSensitive(!q.ending[x.ID])
		ui.Name(r.cancel, "Cancel: "+queue.Plain(text, 100))
	}
	return queue.Plain(l.Word+", "+age+": "+text, 300)
}

// queuedLook is how far a request is.
func queuedLook(x client.Queued) say.Look {
	switch {
	case x.Stale:
		return say.As("qr-stopped-symbolic", "left over", say.Quiet)
	case x.Cancelled:
		return say.As("qr-cancelled-symbolic", "being cancelled", say.Warn)
	case x.Stage == client.StageAnswered:
		return say.As("qr-done-symbolic", "answered", say.Good)
	case x.Stage == client.StageRunning && x.Word == queue.WordApproval:
		return say.As("qr-requests-symbolic", "waits for approval", say.Warn)
	case x.Stage == client.StageRunning && x.Word == queue.WordQueued:
		return say.As("qr-waiting-symbolic", "queued in dom0", say.Accent)
	case x.Stage == client.StageRunning:
		return say.As("qr-running-symbolic", "running", say.Accent)
	case x.Stage == client.StagePending:
		return say.As("qr-waiting-symbolic", "waits for dom0", say.Quiet)
	}
	return say.As("qr-info-symbolic", "not whole", say.Quiet)
}

// howLong is an age in words that stay right until they are told again.
func howLong(d time.Duration) string {
	if d < time.Minute {
		return ""
	}
	return " · " + say.Duration(d.Truncate(time.Minute))
}
