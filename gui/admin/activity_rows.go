//go:build gtk

package admin

import (
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
)

// escape is text where libadwaita takes markup.
func escape(text string) string { return glib.MarkupEscapeText(text, -1) }

// boundRow is a row that is on the screen, or near.
type boundRow struct {
	item   *gtk.ListItem
	row    *ui.TimelineRow
	live   bool // between bind and unbind
	frames int  // since it was bound; from the second on its place is known
	late   bool // it does not say yet what is in it
	filled bool // it shows what it says
	says   ui.Moment
	named  string
}

// factory makes the rows: once each, and then only changes what they show.
func (a *activity) factory() *gtk.SignalListItemFactory {
	f := gtk.NewSignalListItemFactory()
	a.scope.Bind(f, f.ConnectSetup(func(item *gtk.ListItem) {
		b := &boundRow{item: item, row: ui.NewTimelineRow()}
		b.row.Narrow(a.small)
		if a.height == 0 {
			_, a.height, _, _ = b.row.Measure(gtk.OrientationVertical, -1)
		}
		item.SetChild(b.row)
		a.bound[item.Native()] = b
	}))
	a.scope.Bind(f, f.ConnectBind(func(item *gtk.ListItem) {
		if b := a.bound[item.Native()]; b != nil {
			b.live, b.frames = true, 0
			a.showRow(b, a.inSight())
		}
	}))
	a.scope.Bind(f, f.ConnectUnbind(func(item *gtk.ListItem) {
		if b := a.bound[item.Native()]; b != nil {
			b.live = false
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

const (
	// nearby is how many rows beyond those in sight are filled with them; those
	// further away than twice that are emptied.
	nearby = 8
	// lateAtOnce is how many rows out of sight are looked after in one frame.
	lateAtOnce = 16
	// settling is how many frames after a change it takes until each row has the
	// place that it keeps.
	settling = 3
)

func (s span) wider(rows int) span { return span{s.first - rows, s.last + rows} }

// showRow fills a row that can be seen, or soon, at once. GTK binds two hundred.
// To lay all of them out, or to make their style anew, which it does whenever
// the pointer comes to another row, takes longer than a frame may: others are
// empty, and say what is in them to a screen reader some frames later.
func (a *activity) showRow(b *boundRow, seen span) {
	a.settle()
	position := int(b.item.Position())
	if seen.wider(nearby).has(position) {
		a.fillRow(b, position, true)
		return
	}
	m, known := a.momentAt(position)
	if b.late = m != b.says || !known && b.named != unknown; b.late {
		b.empty(a)
	}
}

// settle looks after the rows for some frames.
func (a *activity) settle() {
	if a.settles == 0 {
		a.List.AddTickCallback(func(gtk.Widgetter, gdk.FrameClocker) bool {
			if a.settles--; a.showLate() {
				a.settles = settling
			}
			return a.settles > 0
		})
	}
	a.settles = settling
}

// showLate fills the rows that came into sight, and some of those nearby, has
// others say what is in them, and empties those that are far away. It reports
// whether there are more.
func (a *activity) showLate() (more bool) {
	seen, height := a.inSight(), float64(a.Scroll.Height())
	some := 0
	for _, b := range a.bound {
		if !b.live {
			continue
		}
		b.frames++
		position := int(b.item.Position())
		inSight := seen.has(position) || b.inSight(a.Scroll, height)
		fills := inSight || seen.wider(nearby).has(position)
		switch {
		case fills && (b.filled || b.says == ui.Moment{}) && !b.late, !fills && !b.late && !b.filled:
		case !fills && !b.late:
			if !seen.wider(2 * nearby).has(position) {
				b.empty(a)
			}
		case !inSight && some >= lateAtOnce:
			more = true
		default:
			some++
			a.fillRow(b, position, fills)
		}
	}
	return more
}

// inSight reports that a row can be seen, as far as it has its place: the scroll
// bar knows it but for days with headings.
func (b *boundRow) inSight(scroll *gtk.ScrolledWindow, height float64) bool {
	if b.frames < 2 {
		return false
	}
	_, y, ok := b.row.TranslateCoordinates(scroll, 0, 0)
	return ok && y < height && y+float64(b.row.Height()) > 0
}

// fillRow says what is in a row, and shows it where it can be seen. What it says
// and shows already is left alone: all rows are looked at whenever something
// comes, and little of it has changed.
func (a *activity) fillRow(b *boundRow, position int, show bool) {
	b.late = false
	m, known := a.momentAt(position)
	switch {
	case !known:
		b.empty(a)
		b.name(unknown)
	case show:
		b.row.Set(m)
		b.filled = true
	}
	if known && m != b.says {
		b.name(m.Sentence())
	}
	b.says = m
}

// unknown is what a screen reader says of a row whose record is on its way.
const unknown = "…"

// empty shows nothing in a row.
func (b *boundRow) empty(a *activity) {
	if h := b.row.Height(); b.filled && b.frames > 1 && h > 0 && !b.row.Heading() {
		a.height = h
	}
	b.filled = false
	b.row.Blank(a.height)
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
	m := moment(r, a.labels[r.Qube], words.Clock(r.Time))
	if r.Event == "run" && a.desk.now.Manager.State == dbus.Stopped {
		m.Word, m.Tone, m.Icon = "not ended", string(words.Warn), "qr-interrupted-symbolic" // until the next start says how it did
	}
	day := words.Day(r.Time)
	if before, known := a.model.Row(position - 1); position == 0 || known && words.Day(before.Time) != day {
		m.Day = day
	}
	return m
}
