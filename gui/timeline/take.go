package timeline

import (
	"slices"

	"qvmremote/dbus"
)

// Take puts what was fetched into its place. An answer that came too late, or
// is an error, changes nothing.
func (m *Model) Take(a Answer) (changes []Splice) {
	if a.Err != nil {
		return nil
	}
	switch {
	case a.want.newest:
		changes = m.newer(a)
	case a.want.block == nil:
		changes = m.older(a)
	default:
		k := slices.Index(m.blocks, a.want.block)
		switch {
		case k < 0:
		case m.filter.whole():
			changes = m.fill(k, a)
		default:
			changes = m.remember(k, a)
		}
	}
	m.evict()
	return changes
}

// fill replaces what is known of a block of the whole log.
func (m *Model) fill(k int, a Answer) []Splice {
	m.count()
	b, at, before := m.blocks[k], m.starts[k], m.blocks[k].rows
	if b.held == nil && b.high > a.want.high {
		return nil // what came after the question was forgotten
	}
	sure := m.ends.drop(&a)
	// What came after the question stays, until it is asked for as well.
	later := 0
	for later < len(b.held) && b.held[later].Seq >= a.want.high {
		later++
	}
	b.held = append(make([]dbus.Record, 0, later+len(a.rows)), b.held[:later]...)
	for _, r := range a.rows {
		b.held = append(b.held, r.Record)
	}
	b.rows, b.known = len(b.held), true
	b.stale = !sure || b.high > a.want.high
	m.touch(b)
	m.starts = nil
	return []Splice{{at, before, b.rows}}
}

// older adds what a search found further back.
func (m *Model) older(a Answer) []Splice {
	if a.want.high != m.reached || !m.ends.drop(&a) {
		return nil
	}
	m.reached, m.met = a.reached, a.met
	return m.place(a.rows)
}

// newer adds what a search found among what came since, and takes away what ran
// until then.
func (m *Model) newer(a Answer) (changes []Splice) {
	if a.want.low != m.top {
		return nil
	}
	m.top = a.want.head
	slices.Reverse(a.ended)
	m.ends.add(a.ended...)
	ended := map[uint64]bool{}
	for _, e := range a.ended {
		ended[e.number] = true
	}
	gone := func(f ref) bool { return f.open != 0 && ended[f.open] }
	for _, b := range slices.Clone(m.blocks) {
		changes = append(changes, m.remove(b, gone)...)
	}
	return append(changes, m.place(a.rows)...)
}

// remember brings back the rows of a block of a search.
func (m *Model) remember(k int, a Answer) []Splice {
	b := m.blocks[k]
	changes := m.remove(b, func(f ref) bool { return slices.Contains(a.gone, f) })
	rows := map[ref]*row{}
	for _, r := range a.rows {
		rows[r.ref()] = r
	}
	held := make([]dbus.Record, 0, len(b.refs))
	for _, f := range b.refs {
		r := rows[f]
		if r == nil { // it came meanwhile
			return changes
		}
		held = append(held, r.Record)
	}
	if len(held) == 0 {
		return changes
	}
	b.held = held
	m.touch(b)
	m.count()
	return append(changes, Splice{m.starts[k], b.rows, b.rows})
}

// remove takes rows of a search away.
func (m *Model) remove(b *block, gone func(ref) bool) (changes []Splice) {
	for i := len(b.refs) - 1; i >= 0; i-- {
		if !gone(b.refs[i]) {
			continue
		}
		m.count()
		changes = append(changes, Splice{m.starts[slices.Index(m.blocks, b)] + i, 1, 0})
		b.refs = slices.Delete(b.refs, i, i+1)
		if b.held != nil {
			b.held = slices.Delete(b.held, i, i+1)
		}
		b.rows--
		m.starts = nil
	}
	if b.rows == 0 {
		m.blocks = slices.DeleteFunc(m.blocks, func(o *block) bool { return o == b })
		m.starts = nil
	}
	return changes
}
