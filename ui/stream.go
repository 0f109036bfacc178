//go:build gtk

package ui

import (
	"cmp"
	"slices"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui/i18n"
	"qvmremote/ui/pieces"
)

// streamPause is how long output is gathered before it is shown, in ms.
const streamPause = 100

// Stream shows a [pieces.Flow] while it grows: a list of pieces that stays at its end
// until somebody looks at what is above. What came from standard error says so.
type Stream struct {
	*gtk.ScrolledWindow
	list    *gtk.ListView
	rows    *Rows
	bound   map[uintptr]*streamRow // by list item
	late    *Late
	more    *Late // rows to be made
	short   bool  // there are such
	scope   *Scope
	flow    *pieces.Flow
	follows bool
	first   int    // the piece in the first row; not 0 while only the end is listed
	calm    func() // gives up the timer that ends that
	marked  int    // the piece that was found, -1 for none
	grown   func() // there is more
}

// streamRow is one row: which stream, and its text.
type streamRow struct {
	*gtk.Box
	item       *gtk.ListItem
	mark, text *gtk.Label
	late       bool // it is filled in one of the next frames
}

// NewStream makes an empty one, of that accessible name. grown is called after
// more of it is shown.
func NewStream(s *Scope, name string, grown func()) *Stream {
	t := &Stream{ScrolledWindow: gtk.NewScrolledWindow(), rows: NewRows(), scope: s, flow: pieces.NewFlow(nil), follows: true, marked: -1, grown: grown,
		calm: func() {}, bound: map[uintptr]*streamRow{}}
	factory := gtk.NewSignalListItemFactory()
	s.Bind(factory, factory.ConnectSetup(func(item *gtk.ListItem) {
		row := &streamRow{gtk.NewBox(gtk.OrientationHorizontal, 8), item, NewLabel("", "caption", "output-error"), newOutputLabel(), false}
		row.mark.SetVAlign(gtk.AlignStart)
		row.mark.SetSizeRequest(24, -1)
		row.text.SetHExpand(true)
		row.Append(row.mark)
		row.Append(row.text)
		item.SetChild(row.Box)
		item.SetActivatable(false)
		t.bound[item.Native()] = row
	}))
	s.Bind(factory, factory.ConnectBind(func(item *gtk.ListItem) {
		if row := t.bound[item.Native()]; row != nil {
			t.show(row)
		}
	}))
	s.Bind(factory, factory.ConnectUnbind(func(item *gtk.ListItem) {
		if row := t.bound[item.Native()]; row != nil {
			row.late = false
		}
	}))
	s.Bind(factory, factory.ConnectTeardown(func(item *gtk.ListItem) { delete(t.bound, item.Native()) }))
	t.list = gtk.NewListView(gtk.NewNoSelection(t.rows.Model()), &factory.ListItemFactory)
	t.late = NewLate(s, t.list, func() bool { return t.first == 0 && t.fillLate(streamLateRows) })
	t.more = NewLate(s, t.list, func() bool { t.Refresh(); return t.short })
	t.list.AddCSSClass("stream")
	Name(t.list, name)
	t.SetChild(t.list)
	t.SetPolicy(gtk.PolicyNever, gtk.PolicyAutomatic)
	t.AddCSSClass("output")
	at := t.VAdjustment()
	s.Bind(at, at.ConnectValueChanged(func() {
		t.follows = at.Value() >= at.Upper()-at.PageSize()-nearEnd
		if !t.follows {
			t.fillLate(t.rows.Len()) // one sees others now
			if t.first > 0 {
				Soon(s, t.listAll) // not in the midst of GTK's laying out
			}
		}
	}))
	s.OnClose(func() { t.list.SetModel(nil) })
	return t
}

// nearEnd is how far from the end one still follows, in pixels.
const nearEnd = 24

const (
	leastRow       = 18 // pixels that a row is high at least, about
	streamLateRows = 4  // rows filled in one frame
)

// show fills a row that may be in sight. GTK binds two hundred, all of them anew
// with each hundred lines of a fast output that one follows, and laying all of
// them out would keep the program from answering: what is above the last page is
// blank until [Stream.fillLate] comes to it.
func (t *Stream) show(row *streamRow) {
	if !t.follows || int(row.item.Position()) >= t.rows.Len()-int(t.VAdjustment().PageSize())/leastRow-1 {
		t.fill(row)
		return
	}
	row.late = true
	row.mark.SetText("")
	row.text.SetText("")
	if t.first == 0 { // or else it is another one before anybody looks at it
		t.late.Due()
	}
}

// fillLate fills at most so many of the rows that were put off, the last first,
// and reports whether there are more.
func (t *Stream) fillLate(most int) (more bool) {
	var late []*streamRow
	for _, row := range t.bound {
		if row.late {
			late = append(late, row)
		}
	}
	slices.SortFunc(late, func(a, b *streamRow) int { return cmp.Compare(b.item.Position(), a.item.Position()) })
	for _, row := range late[:min(most, len(late))] {
		t.fill(row)
	}
	return len(late) > most
}

// fill shows a piece in a row.
func (t *Stream) fill(row *streamRow) {
	row.late = false
	position := t.first + int(row.item.Position())
	p := t.flow.Piece(position)
	mark := ""
	if p.Err {
		mark = i18n.C("mark of standard error", "err")
	}
	row.mark.SetText(mark)
	row.text.SetText(p.Text)
	for class, on := range map[string]bool{"from-stderr": p.Err, "found": position == t.marked} {
		if on {
			row.AddCSSClass(class)
		} else {
			row.RemoveCSSClass(class)
		}
	}
}

// Begin shows another flow, which is empty, and returns it.
func (t *Stream) Begin() *pieces.Flow {
	var flow *pieces.Flow
	ctx := t.scope.Context()
	flow = pieces.NewFlow(func() {
		coreglib.TimeoutAdd(streamPause, func() bool {
			if ctx.Err() == nil && t.flow == flow && !t.short { // or else the next frame shows it
				t.Refresh()
			}
			return false
		})
	})
	t.flow, t.marked, t.follows, t.first, t.short = flow, -1, true, 0, false
	t.rows.Splice(0, t.rows.Len(), 0)
	return flow
}

// Flow is what is shown.
func (t *Stream) Flow() *pieces.Flow { return t.flow }

// Len is how many pieces are shown.
func (t *Stream) Len() int { return t.first + t.rows.Len() }

// Rows that are not made yet come some with each frame: GTK makes two hundred as
// soon as there is something for them, and keys would wait for it.
const (
	rowsMade    = 200
	rowsAtATime = 6
)

// Refresh shows what is new: now, but for what needs many rows to be made.
func (t *Stream) Refresh() {
	n, changed, _ := t.flow.Take()
	before := t.Len()
	t.short = t.rows.Len() < rowsMade && n > before+rowsAtATime
	if t.follows && t.rows.Len() >= rowsMade && n-before >= manyRows {
		t.listEnd(n)
		t.grown()
		return
	}
	t.listAll()
	if t.short {
		n = before + rowsAtATime
		t.more.Due()
	}
	follows := t.follows
	slices.Sort(changed)
	for _, i := range slices.Compact(changed) {
		if i < before {
			t.rows.Splice(i, 1, 1)
		}
	}
	t.rows.Splice(before, 0, n-before)
	if follows && n > 0 {
		scrollTo(t.list, n-1)
		t.follows = true
	}
	t.grown()
}

// While so many pieces come at a time that nobody reads them, only the last are
// listed: the rows that there are show others, which costs what is in sight, where
// GTK would bind two hundred for those that are new. The others are listed after
// endPause, in ms, without so many, or as soon as somebody looks for them.
const (
	manyRows = 100
	endPause = 300
)

// listEnd shows the last of n pieces in the rows there are.
func (t *Stream) listEnd(n int) {
	t.first = n - t.rows.Len()
	for _, row := range t.bound {
		if int(row.item.Position()) < t.rows.Len() { // not one that waits to be used again
			t.show(row)
		}
	}
	scrollTo(t.list, t.rows.Len()-1)
	t.follows = true
	t.calm()
	t.calm = After(t.scope, endPause, t.listAll)
}

// listAll lists what [Stream.listEnd] left out; what is in sight stays there.
func (t *Stream) listAll() {
	if t.first == 0 {
		return
	}
	above, follows := t.first, t.follows
	t.first = 0
	t.rows.Splice(0, 0, above)
	t.late.Due()
	if follows {
		scrollTo(t.list, t.rows.Len()-1)
		t.follows = true
	}
}

// Mark shows one piece as the one that was found; -1 shows none.
func (t *Stream) Mark(position int) {
	before := t.marked
	t.marked = position
	t.listAll()
	for _, i := range []int{before, position} {
		if i >= 0 && i < t.rows.Len() {
			t.rows.Splice(i, 1, 1)
		}
	}
	if position >= 0 {
		t.follows = false
		scrollTo(t.list, position)
	}
}
