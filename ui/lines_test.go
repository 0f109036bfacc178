//go:build gtk

package ui

import (
	"fmt"
	"testing"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

// numbered is a list of many lines, of which some are known.
type numbered struct {
	*Lines[Moment, *TimelineRow]
	said  func(position int) string // what is there
	known func(position int) bool
	first Span // in sight before the list had a place
}

func newNumbered(t *testing.T, rows int) *numbered {
	s := NewScope(nil)
	t.Cleanup(s.Close)
	n := &numbered{
		said:  func(position int) string { return fmt.Sprint("row ", position) },
		known: func(int) bool { return true },
	}
	view := LinesView{List: gtk.NewListView(nil, nil), Scroll: gtk.NewScrolledWindow(), Newest: gtk.NewButton()}
	view.Scroll.SetChild(view.List)
	view.Scroll.SetVExpand(true)
	n.Lines = NewLines(s, view, NewTimelineRow, func(position int) (Moment, bool) {
		return Moment{Time: "12:00", Word: "done", Qube: "work", Text: n.said(position)}, n.known(position)
	}, func() {})
	n.Apply(Splice{Added: rows})
	n.first = n.InSight()
	show(t, newBoxOf(view.Newest, view.Scroll))
	return n
}

// inSight are the rows that one sees, by what they show; "" is one that shows
// nothing.
func (n *numbered) inSight() map[int]string {
	all := map[int]string{}
	n.Each(func(row *TimelineRow, position int, _ bool) {
		at, ok := row.ComputeBounds(n.Scroll)
		if !row.Mapped() || !ok || at.Y()+at.Height() <= 0 || at.Y() >= float32(n.Scroll.Height()) {
			return
		}
		all[position] = ""
		if row.Opacity() > 0 {
			all[position] = row.text.Text()
		}
	})
	return all
}

// sees waits until there are rows in sight, the first one among them if asked
// for, and each is as wanted.
func (n *numbered) sees(t *testing.T, what string, first bool, want func(position int) string) {
	t.Helper()
	stage.Until(t, what, func() bool {
		seen := n.inSight()
		for position, text := range seen {
			if text != want(position) {
				return false
			}
		}
		_, top := seen[0]
		return len(seen) > 3 && top == first
	})
}

// TestALineIsShownOnceItIsKnown: before, its row is there and shows nothing, also
// where it showed something else.
func TestALineIsShownOnceItIsKnown(t *testing.T) {
	stage.Enter(t)
	n := newNumbered(t, 10_000)
	n.sees(t, "the first rows are shown", true, n.said)
	n.known = func(position int) bool { return position%2 == 0 }
	n.Refresh()
	n.sees(t, "every other row is shown", true, func(position int) string {
		if position%2 != 0 {
			return ""
		}
		return n.said(position)
	})
	n.Each(func(row *TimelineRow, position int, _ bool) {
		if position == 1 {
			stage.Name(t, gtk.BaseWidget(row).Parent(), unknown)
		}
	})
	n.known = func(int) bool { return true }
	n.Refresh()
	n.sees(t, "all rows are shown", true, n.said)
	n.Each(func(row *TimelineRow, position int, _ bool) {
		if position == 1 {
			stage.Name(t, gtk.BaseWidget(row).Parent(), "12:00, work, done: row 1")
		}
	})
	stage.Until(t, "the rows out of sight have what they will show", func() bool {
		all := true
		n.Each(func(_ *TimelineRow, _ int, filled bool) { all = all && filled })
		return all
	})
	n.said = func(position int) string { return fmt.Sprint("another ", position) }
	n.Scroll.VAdjustment().SetValue(5000)
	n.sees(t, "rows from the midst are shown", false, n.said)
}

// TestAListWithoutAPlaceIsAScreenful: what is read first is what will be seen
// first, before GTK says how much that is.
func TestAListWithoutAPlaceIsAScreenful(t *testing.T) {
	stage.Enter(t)
	n := newNumbered(t, 10_000)
	if n.first != (Span{0, screenful - 1}) {
		t.Errorf("before it has a place rows %v are in sight", n.first)
	}
	stage.Until(t, "the list has its place", func() bool { return n.height > 0 })
	if seen := n.InSight(); seen.First != 0 || seen.Last < 3 || seen.Last > 60 {
		t.Errorf("once it has its place rows %v are in sight", seen)
	}
	before := n.InSight()
	n.Clear()
	n.Apply(Splice{Added: 3})
	stage.Until(t, "the three rows have their places", func() bool { return len(n.inSight()) == 3 })
	n.Clear()
	n.Apply(Splice{Added: 3000})
	if seen := n.InSight(); seen != before {
		t.Errorf("before the new rows have places %v are in sight, want %v", seen, before)
	}
}

// TestAfterAFrame: what waits for a frame happens once, and not before it.
func TestAfterAFrame(t *testing.T) {
	stage.Enter(t)
	n := newNumbered(t, 10)
	closed, open := NewScope(nil), NewScope(nil)
	defer open.Close()
	never, times := false, 0
	AfterFrame(closed, n.List, func() { never = true })()
	closed.Close()
	due := AfterFrame(open, n.List, func() { times++ })
	due()
	due()
	if times > 0 {
		t.Error("it did not wait for a frame")
	}
	stage.Until(t, "a frame was drawn", func() bool { return times > 0 })
	later := 0
	AfterFrame(open, n.List, func() { later++ })()
	stage.Until(t, "another one was", func() bool { return later > 0 })
	if times != 1 || never {
		t.Errorf("it happened %d times, and for a closed scope: %t", times, never)
	}
}

// TestAListStaysAtItsTop: where one looks at the newest line the next one comes
// into sight; where one looks at an older one that stays there.
func TestAListStaysAtItsTop(t *testing.T) {
	stage.Enter(t)
	n := newNumbered(t, 10_000)
	n.sees(t, "the first rows are shown", true, n.said)
	came := 0
	n.said = func(position int) string { return fmt.Sprint("row ", position-came) }
	more := func() {
		came++
		n.Apply(Splice{Added: 1})
	}
	more()
	n.sees(t, "the one that came is shown", true, n.said)
	if n.Newest.Visible() {
		t.Error("at the top there is a way to the top")
	}
	n.Scroll.SetVisible(false) // another page is in front
	more()
	n.Scroll.SetVisible(true)
	n.sees(t, "the one that came meanwhile is shown", true, n.said)
	n.Scroll.VAdjustment().SetValue(5000)
	n.sees(t, "rows from the midst are shown", false, n.said)
	before := n.inSight()
	more()
	n.sees(t, "rows from the midst are still shown", false, n.said)
	kept := map[string]bool{}
	for _, text := range n.inSight() {
		kept[text] = true
	}
	gone := 0
	for _, text := range before {
		if !kept[text] {
			gone++
		}
	}
	if gone > 1 {
		t.Errorf("%d of %d rows that one looked at are gone from sight", gone, len(before))
	}
	if !n.Newest.Visible() {
		t.Error("there is no way to the top")
	}
	n.Newest.Emit("clicked")
	n.sees(t, "the first rows are shown again", true, n.said)
}
