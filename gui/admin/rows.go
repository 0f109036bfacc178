//go:build gtk

package admin

import (
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui"
)

// shownRow is one row of a list that shows a T. set changes it to another one;
// close undoes what was connected.
type shownRow[T any] struct {
	widget gtk.Widgetter
	set    func(T)
	close  func()
}

// rowGroup is what rows are in: a group of the page, or a row that unfolds.
type rowGroup interface {
	Add(gtk.Widgetter)
	Remove(gtk.Widgetter)
}

// unfolding is an expander row as a place for rows.
type unfolding struct{ *adw.ExpanderRow }

// Add puts a row below the others.
func (u unfolding) Add(row gtk.Widgetter) { u.AddRow(row) }

// rows is a short list in a group, kept up to date in place: its rows stay, so
// that focus does, too.
type rows[T any] struct {
	group rowGroup
	make  func() shownRow[T]
	empty string // what is said where there is none; "" for nothing

	have []shownRow[T]
	none *ui.Row
}

func (r *rows[T]) len() int { return len(r.have) }

// show has the list show these.
func (r *rows[T]) show(items []T) {
	r.showNone(len(items) == 0)
	for len(r.have) > len(items) {
		last := r.have[len(r.have)-1]
		r.have = slices.Delete(r.have, len(r.have)-1, len(r.have))
		r.group.Remove(last.widget)
		if last.close != nil {
			last.close()
		}
	}
	for len(r.have) < len(items) {
		row := r.make()
		r.have = append(r.have, row)
		r.group.Add(row.widget)
	}
	for i, item := range items {
		r.have[i].set(item)
	}
}

func (r *rows[T]) showNone(none bool) {
	switch {
	case none && r.none == nil && r.empty != "":
		row := ui.NewRow()
		row.Set(r.empty, "")
		r.none = &row
		r.none.AddCSSClass("dim-label")
		r.group.Add(r.none)
	case !none && r.none != nil:
		r.group.Remove(r.none)
		r.none = nil
	}
}
