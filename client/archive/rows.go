package archive

import (
	"slices"

	"qvmremote/client"
)

const (
	page = 48   // lines read at once
	held = 2000 // lines kept at most, about
)

// Rows is the list as one thread of a program sees it, with the lines of those
// entries that were wanted lately. A Rows is used by one goroutine at a time.
type Rows struct {
	list  []client.Entry
	lines map[client.Entry]*line
	asked map[client.Entry]bool // being read: whether it altered meanwhile
	bound int
}

type line struct {
	past  client.Past
	stale bool
}

// NewRows is a list without entries.
func NewRows() *Rows {
	return &Rows{lines: map[client.Entry]*line{}, asked: map[client.Entry]bool{}, bound: held}
}

// Len is how many there are.
func (r *Rows) Len() int { return len(r.list) }

// All is every entry of it, in order. It is not to be changed.
func (r *Rows) All() []client.Entry { return r.list }

// Apply takes in a change.
func (r *Rows) Apply(c Change) {
	for _, s := range c.Splices {
		for _, e := range r.list[s.At : s.At+s.Removed] {
			delete(r.lines, e)
		}
		r.list = slices.Replace(r.list, s.At, s.At+s.Removed, s.Added...)
	}
	for _, e := range c.Altered {
		if _, asked := r.asked[e]; asked {
			r.asked[e] = true
		}
		if l := r.lines[e]; l != nil {
			l.stale = true
		}
	}
}

// Entry is what the row at a position is of.
func (r *Rows) Entry(at int) (client.Entry, bool) {
	if at < 0 || at >= len(r.list) {
		return client.Entry{}, false
	}
	return r.list[at], true
}

// At is the position of an entry's row.
func (r *Rows) At(e client.Entry) (int, bool) { return find(r.list, e) }

// Line is what the row at a position says, where that was read.
func (r *Rows) Line(at int) (client.Past, bool) {
	e, ok := r.Entry(at)
	if l := r.lines[e]; ok && l != nil {
		return l.past, true
	}
	return client.Past{}, false
}

// Next says which lines to read next for the rows from first to last, at most a
// page of them: see [client.Client.Past]. They go to Take then; what was wanted
// before and was not taken is wanted no more.
func (r *Rows) Next(first, last int) []client.Entry {
	var want []client.Entry
	clear(r.asked)
	for at := max(first, 0); at <= min(last, len(r.list)-1) && len(want) < page; at++ {
		if l := r.lines[r.list[at]]; l == nil || l.stale {
			want = append(want, r.list[at])
			r.asked[r.list[at]] = false
		}
	}
	return want
}

// Take keeps lines that were read, of entries that are in the list still, and
// forgets some that are far from the rows from first to last where it is many.
func (r *Rows) Take(entries []client.Entry, lines []client.Past, first, last int) {
	for i, e := range entries {
		if _, there := r.At(e); there && i < len(lines) {
			r.lines[e] = &line{past: lines[i], stale: r.asked[e]}
		}
	}
	if len(r.lines) <= r.bound {
		return
	}
	for e := range r.lines {
		if at, there := r.At(e); !there || at < first-r.bound/4 || at > last+r.bound/4 {
			delete(r.lines, e)
		}
	}
}
