//go:build gtk

package client

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui"
)

// lines is a list of any length on the screen: row numbers, whose rows are made
// once each and filled with what is at their position now.
type lines struct {
	list   *gtk.ListView
	scroll *gtk.ScrolledWindow
	rows   *ui.Rows
	bound  map[uintptr]*lineRow
	late   *ui.Late

	// create makes an empty row; fill shows in one what is at a position, and
	// returns what a screen reader says of it.
	create func() gtk.Widgetter
	fill   func(row gtk.Widgetter, position int) string
}

// lineRow is a row that is on the screen, or near.
type lineRow struct {
	item  *gtk.ListItem
	row   gtk.Widgetter
	live  bool // between bind and unbind
	late  bool // it is filled in one of the next frames
	named string
}

func newLines(s *ui.Scope, list *gtk.ListView, scroll *gtk.ScrolledWindow, create func() gtk.Widgetter, fill func(gtk.Widgetter, int) string) *lines {
	l := &lines{list: list, scroll: scroll, rows: ui.NewRows(), bound: map[uintptr]*lineRow{}, create: create, fill: fill}
	l.late = ui.NewLate(s, list, l.showLate)
	f := gtk.NewSignalListItemFactory()
	s.Bind(f, f.ConnectSetup(func(item *gtk.ListItem) {
		b := &lineRow{item: item, row: l.create()}
		item.SetChild(b.row)
		l.bound[item.Native()] = b
	}))
	s.Bind(f, f.ConnectBind(func(item *gtk.ListItem) {
		if b := l.bound[item.Native()]; b != nil {
			b.live = true
			l.show(b)
		}
	}))
	s.Bind(f, f.ConnectUnbind(func(item *gtk.ListItem) {
		if b := l.bound[item.Native()]; b != nil {
			b.live, b.late = false, false
		}
	}))
	s.Bind(f, f.ConnectTeardown(func(item *gtk.ListItem) { delete(l.bound, item.Native()) }))
	v := scroll.VAdjustment()
	s.Bind(v, v.ConnectValueChanged(l.scrollRows))
	list.SetFactory(&f.ListItemFactory)
	list.SetModel(gtk.NewNoSelection(l.rows.Model()))
	s.OnClose(func() { list.SetModel(nil) })
	ui.Home(s, list, scroll)
	return l
}

// each does f with every row there is.
func (l *lines) each(f func(gtk.Widgetter)) {
	for _, b := range l.bound {
		f(b.row)
	}
}

// splice says that so many rows went and came. Rows that stay only change what
// they show.
func (l *lines) splice(at, removed, added int) {
	stay := min(removed, added)
	l.rows.Splice(at+stay, removed-stay, added-stay)
}

// refresh shows what is known now in the rows that are there.
func (l *lines) refresh() {
	for _, b := range l.bound {
		if b.live {
			l.show(b)
		}
	}
}

// inSight is about from which to which row one sees, by the scroll bar: it is
// right before GTK has given the rows their places.
func (l *lines) inSight() (first, last int) {
	v := l.scroll.VAdjustment()
	row := max(v.Upper(), 1) / float64(max(l.rows.Len(), 1))
	return int(v.Value() / row), int((v.Value() + v.PageSize()) / row)
}

// made is from which to which row there is something for; the first rows while
// there is nothing.
func (l *lines) made() (first, last int) {
	first = -1
	for _, b := range l.bound {
		if !b.live {
			continue
		}
		p := int(b.item.Position())
		if first < 0 || p < first {
			first = p
		}
		last = max(last, p)
	}
	return max(first, 0), last
}

const (
	nearRows   = 2 // beyond those in sight, that are filled with them
	lateAtOnce = 6 // rows filled in one frame
)

// near reports whether a row is in sight, or soon.
func near(b *lineRow, first, last int) bool {
	position := int(b.item.Position())
	return position >= first-nearRows && position <= last+nearRows
}

// far is a row that takes no more than its room where it cannot be seen.
type far interface{ Far(far bool) }

// scrollRows has rows come that are near now, and others go.
func (l *lines) scrollRows() {
	first, last := l.inSight()
	for _, b := range l.bound {
		if row, ok := b.row.(far); ok && b.live {
			row.Far(!near(b, first, last))
		}
	}
}

// show fills a row that can be seen, or soon, at once. GTK binds two hundred, and
// laying all of them out takes longer than a frame may: others are blank until
// [lines.showLate] comes to them.
func (l *lines) show(b *lineRow) {
	first, last := l.inSight()
	shown := near(b, first, last)
	if row, ok := b.row.(far); ok {
		row.Far(!shown)
	}
	if shown {
		l.fillRow(b)
		return
	}
	b.late = true
	gtk.BaseWidget(b.row).SetOpacity(0)
	l.late.Due()
}

// showLate fills some of the rows that were put off, those in sight in any case,
// and reports whether there are more.
func (l *lines) showLate() (more bool) {
	first, last := l.inSight()
	some := 0
	for _, b := range l.bound {
		if !b.late {
			continue
		}
		position := int(b.item.Position())
		if (position < first || position > last) && some >= lateAtOnce {
			more = true
			continue
		}
		some++
		l.fillRow(b)
	}
	return more
}

// fillRow also tells a screen reader what is in the row. What has the focus is
// the list's own widget around it.
func (l *lines) fillRow(b *lineRow) {
	b.late = false
	position := int(b.item.Position())
	if position >= l.rows.Len() {
		return
	}
	base := gtk.BaseWidget(b.row)
	base.SetOpacity(1)
	said := l.fill(b.row, position)
	if around, ok := base.Parent().(*gtk.Widget); ok && said != b.named {
		b.named = said
		ui.Name(around, said)
	}
}

func (l *lines) atTop() bool { return l.scroll.VAdjustment().Value() < 1 }

func (l *lines) toTop() { l.scroll.VAdjustment().SetValue(0) }
