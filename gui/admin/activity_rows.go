//go:build gtk

package admin

import (
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/ui"
)

// escape is text where libadwaita takes markup.
func escape(text string) string { return glib.MarkupEscapeText(text, -1) }

// factory makes the rows: once each, and then only changes what they show.
func (a *activity) factory() *gtk.SignalListItemFactory {
	f := gtk.NewSignalListItemFactory()
	a.scope.Bind(f, f.ConnectSetup(func(item *gtk.ListItem) {
		b := &boundRow{item: item, row: ui.NewTimelineRow()}
		b.row.Narrow(a.small)
		item.SetChild(b.row)
		a.bound[item.Native()] = b
	}))
	a.scope.Bind(f, f.ConnectBind(func(item *gtk.ListItem) {
		if b := a.bound[item.Native()]; b != nil {
			b.live = true
			a.showRow(b, a.inSight())
		}
	}))
	a.scope.Bind(f, f.ConnectUnbind(func(item *gtk.ListItem) {
		if b := a.bound[item.Native()]; b != nil {
			b.live, b.late = false, false
		}
	}))
	a.scope.Bind(f, f.ConnectTeardown(func(item *gtk.ListItem) { delete(a.bound, item.Native()) }))
	return f
}

// refreshRows shows what is known now in the rows that are there.
func (a *activity) refreshRows() {
	seen := a.inSight()
	for _, b := range a.bound {
		if b.live {
			a.showRow(b, seen)
		}
	}
}

// nearby is how many rows beyond those in sight are filled with them.
const nearby = 2

// showRow fills a row that can be seen, or soon, at once. GTK binds two hundred,
// and laying all of them out takes longer than a frame may: others are blank
// until [activity.showLate] comes to them.
func (a *activity) showRow(b *boundRow, seen span) {
	position := int(b.item.Position())
	near := seen.near(position)
	b.row.Far(!near)
	if near {
		a.fillRow(b, position)
		return
	}
	m, known := a.momentAt(position)
	if b.late = m != b.shown || !known && b.named != unknown; !b.late {
		return
	}
	b.blank()
	a.late.Due()
}

// near reports whether a row is in sight, or soon.
func (s span) near(position int) bool {
	return span{s.first - nearby, s.last + nearby}.has(position)
}

// lateAtOnce is how many rows are filled in one frame.
const lateAtOnce = 6

// scrollRows has rows come that are near now, and others go.
func (a *activity) scrollRows() {
	seen := a.inSight()
	for _, b := range a.bound {
		if b.live {
			b.row.Far(!seen.near(int(b.item.Position())))
		}
	}
}

// showLate fills some of the rows that were put off, those in sight in any case,
// and reports whether there are more.
func (a *activity) showLate() (more bool) {
	inSight := a.inSight()
	some := 0
	for _, b := range a.bound {
		if !b.late {
			continue
		}
		position := int(b.item.Position())
		if !inSight.has(position) && some >= lateAtOnce {
			more = true
			continue
		}
		some++
		a.fillRow(b, position)
	}
	return more
}

// fillRow leaves alone a row that shows it already: all that is on the screen is
// looked at whenever something comes, and little of it has changed.
func (a *activity) fillRow(b *boundRow, position int) {
	b.late = false
	m, known := a.momentAt(position)
	switch {
	case !known:
		b.blank()
		b.name(unknown)
	case m != b.shown:
		b.shown = m
		b.row.Set(m)
		b.name(m.Sentence())
	}
}

// unknown is what a screen reader says of a row whose record is on its way.
const unknown = "…"

// blank shows nothing in a row whose record is on its way.
func (b *boundRow) blank() {
	if b.shown != (ui.Moment{}) {
		b.shown = ui.Moment{}
		b.row.Blank()
	}
}

// name tells a screen reader what is in the row, which costs a message each time.
// What has the focus is the list's own widget around it.
func (b *boundRow) name(text string) {
	if around, ok := b.row.Parent().(*gtk.Widget); ok && text != b.named {
		b.named = text
		ui.Name(around, text)
	}
}

// momentAt is what the row at a position shows, if its record is there.
func (a *activity) momentAt(position int) (m ui.Moment, known bool) {
	r, ok := a.model.Row(position)
	if !ok {
		return ui.Moment{}, false
	}
	return a.moment(position, r), true
}

// moment is what the row of a record shows.
func (a *activity) moment(position int, r dbus.Record) ui.Moment {
	m := moment(r, a.labels[r.Qube], say.Clock(r.Time))
	if r.Event == "run" && a.desk.now.Manager.State == dbus.Stopped {
		m.Word, m.Tone, m.Icon = "not ended", string(say.Warn), "qr-interrupted-symbolic" // until the next start says how it did
	}
	day := say.Day(r.Time)
	if before, known := a.model.Row(position - 1); position == 0 || known && say.Day(before.Time) != day {
		m.Day = day
	}
	return m
}
