//go:build gtk

package ui

import "github.com/diamondburned/gotk4/pkg/gtk/v4"

// Line is a row of a [Lines]. It is made once, and then only changes what it
// shows.
type Line[V comparable] interface {
	gtk.Widgetter
	Set(V) (said string) // to a screen reader
	Narrow(narrow bool)
}

// LinesView is what a list of lines is on the screen.
type LinesView struct {
	List   *gtk.ListView
	Scroll *gtk.ScrolledWindow
	Newest *gtk.Button // back to the first row; nil for none
}

// Lines is a list of any length: row numbers, whose rows are made once each and
// filled with what is at their position now. GTK has two hundred of them bound,
// and to lay out all of those takes longer than a frame may. So what can be seen,
// or soon, is filled at once, and the rest a few in each frame; and a row that
// has Far, as a [TimelineRow], is told whether it is out of sight.
type Lines[V comparable, R Line[V]] struct {
	LinesView
	rows   *Rows
	bound  map[uintptr]*line[V, R] // by list item
	late   *Late
	height float64 // of a row, about, as GTK gave them their places last; 0 before
	at     func(position int) (v V, known bool)
	narrow bool
}

// line is a row that is on the screen, or near.
type line[V comparable, R Line[V]] struct {
	item   *gtk.ListItem
	row    R
	live   bool // between bind and unbind
	late   bool // it is filled in one of the next frames
	filled bool // it shows shown; else nothing, in the room that it has
	shown  V
	named  string
}

// unknown is what a screen reader says of a row whose contents are on their way.
const unknown = "…"

// NewLines shows in the rows that create makes what is at their positions, as
// soon as that is known. scrolled is called after each scrolling.
func NewLines[V comparable, R Line[V]](s *Scope, view LinesView, create func() R, at func(position int) (v V, known bool), scrolled func()) *Lines[V, R] {
	l := &Lines[V, R]{LinesView: view, rows: NewRows(), bound: map[uintptr]*line[V, R]{}, at: at}
	l.late = NewLate(s, l.List, l.fillLate)
	l.List.SetFactory(&l.factory(s, create).ListItemFactory)
	l.List.SetModel(gtk.NewNoSelection(l.rows.Model()))
	s.OnClose(func() { l.List.SetModel(nil) })
	v := l.Scroll.VAdjustment()
	s.Bind(v, v.ConnectChanged(func() {
		// Where they fill less than a page, the bar is as long as the page.
		if n := l.rows.Len(); n > 0 && v.Upper() > v.PageSize() {
			l.height = v.Upper() / float64(n)
		}
	}))
	s.Bind(v, v.ConnectValueChanged(func() {
		l.showNewest()
		l.scrolled()
		scrolled()
	}))
	if l.Newest != nil {
		s.Bind(l.Newest, l.Newest.ConnectClicked(l.ToTop))
	}
	home(s, l.List, l.Scroll)
	return l
}

func (l *Lines[V, R]) factory(s *Scope, create func() R) *gtk.SignalListItemFactory {
	f := gtk.NewSignalListItemFactory()
	s.Bind(f, f.ConnectSetup(func(item *gtk.ListItem) {
		b := &line[V, R]{item: item, row: create()}
		b.row.Narrow(l.narrow)
		item.SetChild(b.row)
		l.bound[item.Native()] = b
	}))
	s.Bind(f, f.ConnectBind(func(item *gtk.ListItem) {
		if b := l.bound[item.Native()]; b != nil {
			b.live = true
			l.show(b, l.InSight())
		}
	}))
	s.Bind(f, f.ConnectUnbind(func(item *gtk.ListItem) {
		if b := l.bound[item.Native()]; b != nil {
			b.live, b.late = false, false
		}
	}))
	s.Bind(f, f.ConnectTeardown(func(item *gtk.ListItem) { delete(l.bound, item.Native()) }))
	return f
}

// Len is how many rows there are.
func (l *Lines[V, R]) Len() int { return l.rows.Len() }

// Narrow has all rows do with little room, or no longer.
func (l *Lines[V, R]) Narrow(narrow bool) {
	l.narrow = narrow
	for _, b := range l.bound {
		b.row.Narrow(narrow)
	}
}

// Span is some rows, from the first to the last.
type Span struct{ First, Last int }

func (s Span) has(position int) bool { return position >= s.First && position <= s.Last }

// nearby is how many rows beyond those in sight are filled with them.
const nearby = 2

// near reports whether a row is in sight, or soon.
func (s Span) near(position int) bool { return Span{s.First - nearby, s.Last + nearby}.has(position) }

// screenful is how many rows are taken to be in sight where no list that is longer
// than a page has had a place yet.
const screenful = 20

// InSight is about from which to which row one sees, by the scroll bar: it is
// right before GTK has given the rows their places, where they are of one height.
func (l *Lines[V, R]) InSight() Span {
	v := l.Scroll.VAdjustment()
	page := v.PageSize()
	if l.height == 0 {
		return Span{0, screenful - 1}
	}
	end := max(float64(l.rows.Len())*l.height-page, 0)
	top := min(v.Value(), end)
	return Span{int(top / l.height), int((top + page) / l.height)}
}

// Bound is from which to which row GTK has one; the first while it has none.
func (l *Lines[V, R]) Bound() Span {
	s := Span{First: -1}
	l.Each(func(_ R, position int, _ bool) {
		if s.First < 0 || position < s.First {
			s.First = position
		}
		s.Last = max(s.Last, position)
	})
	s.First = max(s.First, 0)
	return s
}

// Each does f with every row that GTK has for a position, and whether it shows
// what is there.
func (l *Lines[V, R]) Each(f func(row R, position int, filled bool)) {
	for _, b := range l.bound {
		if b.live {
			f(b.row, int(b.item.Position()), b.filled)
		}
	}
}

// Splice is so many rows that went at a position, and so many that came.
type Splice struct{ At, Removed, Added int }

// Apply has the list follow what came and went, and [Lines.Refresh]. Where one
// was at its top one still is.
func (l *Lines[V, R]) Apply(changes ...Splice) {
	top := l.Scroll.VAdjustment().Value() < 1
	same := true
	for _, c := range changes {
		// Rows that stay only change what they show: GTK makes anew what comes
		// and goes, and two hundred of that take longer than a frame may.
		stay := min(c.Removed, c.Added)
		l.rows.Splice(c.At+stay, c.Removed-stay, c.Added-stay)
		same = same && c.Removed == c.Added
	}
	l.Refresh()
	if top && !same {
		l.ToTop()
	}
}

// Clear takes all rows away, for those of another list, whose top will be shown.
func (l *Lines[V, R]) Clear() {
	l.ToTop()
	l.Apply(Splice{Removed: l.Len()})
}

// Refresh shows what is known now in the rows that are there.
func (l *Lines[V, R]) Refresh() {
	seen := l.InSight()
	for _, b := range l.bound {
		if b.live {
			l.show(b, seen)
		}
	}
}

// ToTop shows the first row. The scroll bar alone would not do: where a row came
// above the first, GTK keeps that one where it is, and the bar is at its end until
// the new one has a place. A list that has had no place itself is at its top.
func (l *Lines[V, R]) ToTop() {
	l.Scroll.VAdjustment().SetValue(0)
	if l.List.Height() > 0 {
		scrollTo(l.List, 0)
	}
	l.showNewest()
}

// wayBack is how far down, in pixels, there is a way back to the top.
const wayBack = 2000

func (l *Lines[V, R]) showNewest() {
	if l.Newest != nil {
		l.Newest.SetVisible(l.Scroll.VAdjustment().Value() > wayBack)
	}
}
