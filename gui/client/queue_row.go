//go:build gtk

package client

import (
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/client"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// queueLine is what a row says of one request of the queue.
type queueLine struct {
	look    say.Look
	text    string
	command bool // that is text
	age     string
	cancel  string // id to cancel it by, "" where one cannot
	ending  bool   // it is being cancelled
}

// lineAt is what the row at a position says.
func (q *queuePage) lineAt(position int) (l queueLine, known bool) {
	if position >= len(q.list.Requests) {
		return queueLine{}, false
	}
	x := q.list.Requests[position]
	l = queueLine{
		look: queuedLook(x), text: x.Command, command: x.Command != "",
		age: i18n.T("since %s", say.Clock(x.Since)) + howLong(x.Age), ending: q.ending[x.ID],
	}
	if !l.command {
		l.text = x.Name
	}
	if x.Own && (x.Stage == client.StagePending || x.Stage == client.StageRunning) {
		l.cancel = x.ID
	}
	return l, true
}

// queueRow shows one request of the queue.
type queueRow struct {
	*gtk.Grid
	icon   *gtk.Image
	text   ui.LineText
	since  *gtk.Label
	pill   ui.Pill
	cancel *gtk.Button
	small  bool
}

func newQueueRow() *queueRow {
	r := &queueRow{Grid: ui.NewLineGrid(), icon: gtk.NewImage(), text: ui.NewLineText(), since: ui.NewLabel("", "dim-label", "caption"),
		pill: ui.NewPill(), cancel: gtk.NewButtonWithLabel(i18n.T("Cancel"))}
	r.since.SetEllipsize(pango.EllipsizeEnd)
	r.cancel.SetVAlign(gtk.AlignCenter)
	r.pill.SetHAlign(gtk.AlignEnd)
	r.Attach(r.icon, 0, 0, 1, 2)
	r.Attach(r.text, 1, 0, 1, 1)
	r.Attach(r.since, 1, 1, 1, 1)
	r.Attach(r.pill, 2, 0, 1, 2)
	r.Attach(r.cancel, 3, 0, 1, 2)
	return r
}

// Narrow puts the pill below the text, or back.
func (r *queueRow) Narrow(narrow bool) {
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

// Set shows a request.
func (r *queueRow) Set(l queueLine) (said string) {
	r.icon.SetFromIconName(l.look.Icon)
	ui.SetTone(r.icon, string(l.look.Tone))
	r.pill.Set(l.look.Word, string(l.look.Tone))
	r.text.Set(l.text, l.command)
	ui.SetText(r.since, l.age, 100)
	r.cancel.SetVisible(l.cancel != "")
	if l.cancel != "" {
		r.cancel.SetActionTargetValue(glib.NewVariantString(l.cancel))
		r.cancel.SetActionName("queue.cancel")
		r.cancel.SetSensitive(!l.ending)
		ui.Name(r.cancel, i18n.T("Cancel: %s", queue.Plain(l.text, 100)))
	}
	return queue.Plain(l.look.Word+", "+l.age+": "+l.text, 300)
}

// queuedLook is how far a request is.
func queuedLook(x client.Queued) say.Look {
	switch {
	case x.Stale:
		return say.As("qr-stopped-symbolic", i18n.T("left over"), say.Quiet)
	case x.Cancelled:
		return say.As("qr-cancelled-symbolic", i18n.T("being cancelled"), say.Warn)
	case x.Stage == client.StageAnswered:
		return say.As("qr-done-symbolic", i18n.T("answered"), say.Good)
	case x.Stage == client.StageRunning && x.Word == queue.WordApproval:
		return say.As("qr-requests-symbolic", i18n.T("waits for approval"), say.Warn)
	case x.Stage == client.StageRunning && x.Word == queue.WordQueued:
		return say.As("qr-waiting-symbolic", i18n.T("queued in dom0"), say.Accent)
	case x.Stage == client.StageRunning:
		return say.As("qr-running-symbolic", i18n.T("running"), say.Accent)
	case x.Stage == client.StagePending:
		return say.As("qr-waiting-symbolic", i18n.T("waits for dom0"), say.Quiet)
	}
	return say.As("qr-info-symbolic", i18n.T("not whole"), say.Quiet)
}

// howLong is an age in words that stay right until they are told again.
func howLong(d time.Duration) string {
	if d < time.Minute {
		return ""
	}
	return " · " + say.Duration(d.Truncate(time.Minute))
}
