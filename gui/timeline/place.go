package timeline

import (
	"cmp"
	"slices"
)

// place adds rows of a search, which are in order, where the order has them.
func (m *Model) place(rows []*row) (changes []Splice) {
	for len(rows) > 0 {
		k, i := m.position(rows[0].Seq)
		// All up to the next row that is shown go to the same place.
		n := len(rows)
		if k < len(m.blocks) {
			next := m.blocks[k].refs[i].seq
			n = 1
			for n < len(rows) && rows[n].Seq > next {
				n++
			}
		}
		m.count()
		at := m.starts[min(k, len(m.blocks))] + i
		m.insert(k, i, rows[:n])
		changes = append(changes, Splice{at, 0, n})
		rows = rows[n:]
	}
	return changes
}

// position is the first row that is older than a record, as block and row in it;
// the block is one that is not there when there is none.
func (m *Model) position(seq uint64) (k, i int) {
	k, _ = slices.BinarySearchFunc(m.blocks, seq, func(b *block, seq uint64) int {
		return cmp.Compare(seq, b.refs[len(b.refs)-1].seq)
	})
	if k == len(m.blocks) {
		return k, 0
	}
	i, _ = slices.BinarySearchFunc(m.blocks[k].refs, seq, func(f ref, seq uint64) int { return cmp.Compare(seq, f.seq) })
	return k, i
}

// insert puts rows before row i of block k: into it, or between two blocks, where
// neither has room, into blocks of their own.
func (m *Model) insert(k, i int, rows []*row) {
	m.starts = nil
	room := func(k int) bool { return 0 <= k && k < len(m.blocks) && len(m.blocks[k].refs)+len(rows) <= page }
	if i == 0 && !room(k) && room(k-1) {
		k, i = k-1, len(m.blocks[k-1].refs)
	}
	if i > 0 || room(k) {
		b := m.blocks[k]
		for j, r := range rows {
			b.refs = slices.Insert(b.refs, i+j, r.ref())
			if b.held != nil {
				b.held = slices.Insert(b.held, i+j, r.Record)
			}
		}
		b.rows = len(b.refs)
		return
	}
	var added []*block
	for part := range slices.Chunk(rows, page) {
		b := &block{rows: len(part), known: true}
		for _, r := range part {
			b.refs, b.held = append(b.refs, r.ref()), append(b.held, r.Record)
		}
		m.touch(b)
		added = append(added, b)
	}
	m.blocks = slices.Insert(m.blocks, k, added...)
}
