//go:build gtk

package ui

import "github.com/diamondburned/gotk4/pkg/gtk/v4"

// scrolled has rows come that are near now, and others go.
func (l *Lines[V, R]) scrolled() {
	seen := l.InSight()
	for _, b := range l.bound {
		if b.live {
			b.far(!seen.near(int(b.item.Position())))
		}
	}
}

// show fills a row that can be seen, or soon, at once. Others are blank until
// [Lines.fillLate] comes to them.
func (l *Lines[V, R]) show(b *line[V, R], seen Span) {
	position := int(b.item.Position())
	near := seen.near(position)
	b.far(!near)
	if near {
		l.fill(b, position)
		return
	}
	if b.late = !b.shows(l.at(position)); b.late {
		b.blank()
		l.late.Due()
	}
}

// lateAtOnce is how many rows out of sight are filled in one frame.
const lateAtOnce = 6

// fillLate fills some of the rows that were put off, those in sight in any case,
// and reports whether there are more.
func (l *Lines[V, R]) fillLate() (more bool) {
	seen := l.InSight()
	some := 0
	for _, b := range l.bound {
		if !b.late {
			continue
		}
		position := int(b.item.Position())
		if !seen.has(position) && some >= lateAtOnce {
			more = true
			continue
		}
		some++
		l.fill(b, position)
	}
	return more
}

// fill leaves alone a row that shows it already: all that is on the screen is
// looked at whenever something comes, and little of it has changed.
func (l *Lines[V, R]) fill(b *line[V, R], position int) {
	b.late = false
	v, known := l.at(position)
	switch {
	case b.shows(v, known):
	case !known:
		b.blank()
		b.name(unknown)
	default:
		b.filled, b.shown = true, v
		gtk.BaseWidget(b.row).SetOpacity(1)
		b.name(b.row.Set(v))
	}
}

// shows reports whether the row shows this, or where it is not known says so.
func (b *line[V, R]) shows(v V, known bool) bool {
	if !known {
		return !b.filled && b.named == unknown
	}
	return b.filled && v == b.shown
}

// blank shows nothing, in the room that the row has: no other line moves, and
// what it showed costs little where it is shown again.
func (b *line[V, R]) blank() {
	if b.filled {
		b.filled = false
		gtk.BaseWidget(b.row).SetOpacity(0)
	}
}

// far tells the row whether it is out of sight, if it cares.
func (b *line[V, R]) far(far bool) {
	if row, ok := any(b.row).(interface{ Far(far bool) }); ok {
		row.Far(far)
	}
}

// name tells a screen reader what is in the row, which costs a message each time.
// What has the focus is the list's own widget around it.
func (b *line[V, R]) name(said string) {
	if around, ok := gtk.BaseWidget(b.row).Parent().(*gtk.Widget); ok && said != b.named {
		b.named = said
		Name(around, said)
	}
}
