// Package timeline is the model behind the list of what happened: a window over
// an audit log of a million records, of which it holds 2,000 rows at most.
//
// A row is one thing a person cares about: a request with how it ended and the
// command it ran, a request that runs, a refusal, a key that was stored, a
// service that started. The steps of a request are no rows. Whether a request
// has ended is what the log says, of as many records as the model was told of.
//
// It guarantees that rows are in the log's order, the newest first and each
// once, whatever the order in which pages and news come; that [Model.Len] is
// always what the changes it reported add up to; and that it fetches nothing by
// itself: a caller asks for what is wanted ([Model.Next]), fetches it off the
// main loop ([Want.Fetch]) and gives it back ([Model.Take]). Answers may come
// late, in any order, or never. A Model is used by one goroutine at a time.
package timeline

import (
	"math"
	"slices"
	"sort"

	"qvmremote/dbus"
)

const (
	span = 256 // records that a block of the whole log covers
	page = 100 // rows that a block of a search has, and that one search looks for
	// guess is how many rows a block that was never loaded is taken to have: a
	// command leaves four records.
	guess = span / 4
)

// limits bound what a model holds, and what it does at once.
type limits struct {
	rows   int // held; at least four blocks, or what comes pushes out what is shown
	news   int // looked at one by one; more are as records that were missed
	recent int // records that came, for a search to look at; with more it begins again
	ends   int // of requests that are remembered, for answers that do not know of them
}

var usual = limits{rows: 2000, news: 1000, recent: 2000, ends: 1000}

// Splice says that at a row so many went and so many came.
type Splice struct{ At, Removed, Added int }

// block is some rows that are fetched and forgotten together: of the whole log
// those of the records from low up to, not including, high; of a search those
// that refs names.
type block struct {
	low, high uint64
	refs      []ref
	rows      int  // that it has; a guess unless known
	known     bool // rows was counted once
	stale     bool // there is more to know of it than is held
	held      []dbus.Record
	asked     uint64 // when it was last asked for
}

// ref is what is kept of a row of a search while the row itself is not: enough
// to fetch it again.
type ref struct {
	seq   uint64
	start uint64 // record that holds the command of a request which ended; 0: none
	open  uint64 // number of a request which has not ended; 0: it has, or is none
	bad   bool   // a record that cannot be read: one of its number may be another that can
}

func (b *block) loaded() bool { return b.held != nil || b.known && b.rows == 0 }

// Model is the rows of one log under one filter.
type Model struct {
	limits limits
	filter Filter
	blocks []*block // the newest first
	starts []int    // row at which each begins; nil: count again
	ends   ends
	head   uint64 // number of the next record
	tick   uint64

	// Of a search: it has looked at the records from reached up to begun on its
	// way back, and from begun up to top as they came.
	reached, begun, top uint64
	// met are requests whose end it has passed on its way back, and whose start
	// is still to come.
	met map[uint64]bool
}

// New makes the model of a log that has head records.
func New(f Filter, head uint64) *Model { return newModel(f, head, usual) }

func newModel(f Filter, head uint64, l limits) *Model {
	m := &Model{limits: l, filter: f, head: head, reached: head, begun: head, top: head, met: map[uint64]bool{}}
	m.ends = ends{from: head, max: l.ends}
	if f.whole() {
		m.cover(0, head)
	}
	return m
}

// cover adds blocks for records that are newer than all others.
func (m *Model) cover(from, to uint64) (rows int) {
	var added []*block
	for from < to {
		high := min(to, from-from%span+span)
		n := int(high - from)
		if m.filter.Kind != Every {
			n = max(1, n*guess/span)
		}
		added = append(added, &block{low: from, high: high, rows: n})
		rows += n
		from = high
	}
	slices.Reverse(added)
	m.blocks = slices.Concat(added, m.blocks)
	m.starts = nil
	return rows
}

// Len is how many rows there are, as far as is known.
func (m *Model) Len() int {
	m.count()
	return m.starts[len(m.blocks)]
}

// count is cheap enough to be done anew after each change: a million records
// are four thousand blocks.
func (m *Model) count() {
	if m.starts != nil {
		return
	}
	m.starts = make([]int, len(m.blocks)+1)
	for i, b := range m.blocks {
		m.starts[i+1] = m.starts[i] + b.rows
	}
}

// find is the block of a row.
func (m *Model) find(row int) int {
	m.count()
	return sort.SearchInts(m.starts, row+1) - 1
}

// Row returns what is known of a row; ok is false while that is nothing.
func (m *Model) Row(i int) (r dbus.Record, ok bool) {
	if i < 0 || i >= m.Len() {
		return r, false
	}
	k := m.find(i)
	b := m.blocks[k]
	m.touch(b)
	if b.held == nil {
		return r, false
	}
	return b.held[i-m.starts[k]], true
}

func (m *Model) touch(b *block) {
	m.tick++
	b.asked = m.tick
}

// Position is where the row of a record is, -1 where it is not held.
func (m *Model) Position(seq uint64) int {
	m.count()
	for k, b := range m.blocks {
		for i, r := range b.held {
			if r.Seq == seq {
				return m.starts[k] + i
			}
		}
	}
	return -1
}

// Held counts the rows in memory.
func (m *Model) Held() int {
	n := 0
	for _, b := range m.blocks {
		n += len(b.held)
	}
	return n
}

// evict forgets the rows of the blocks that were asked for longest ago.
func (m *Model) evict() {
	for held := m.Held(); held > m.limits.rows; {
		oldest, least := -1, uint64(math.MaxUint64)
		for k, b := range m.blocks {
			if len(b.held) > 0 && b.asked < least {
				oldest, least = k, b.asked
			}
		}
		held -= len(m.blocks[oldest].held)
		m.blocks[oldest].held = nil
	}
}

// Searching reports whether a search has not yet looked at the whole log.
func (m *Model) Searching() bool {
	return !m.filter.whole() && (m.reached > 0 || m.top < m.head)
}

// Reached is the part of the log, from 0 to 1, at which a search has looked.
func (m *Model) Reached() float64 {
	if m.begun == 0 || m.filter.whole() {
		return 1
	}
	return 1 - float64(m.reached)/float64(m.begun)
}

// Next is what the rows from first to last need most, those in the middle
// before others; ok is false when nothing is missing.
func (m *Model) Next(first, last int) (w Want, ok bool) {
	w = Want{filter: m.filter, head: m.head, begun: m.begun}
	if !m.filter.whole() && m.top < m.head {
		w.low, w.high, w.newest = m.top, m.head, true
		return w, true
	}
	last = min(last, first+m.limits.rows/2)
	if b := m.missing(first, last); b != nil {
		w.low, w.high, w.block, w.refs = b.low, b.high, b, slices.Clone(b.refs)
		return w, true
	}
	if !m.filter.whole() && m.reached > 0 && last >= m.Len()-page/2 {
		w.high, w.met = m.reached, m.met
		return w, true
	}
	return w, false
}

// missing is the block that has to be fetched for these rows, nil for none.
func (m *Model) missing(first, last int) *block {
	n := m.Len()
	if n == 0 {
		return nil
	}
	first, last = min(max(first, 0), n-1), min(max(last, 0), n-1)
	low, high, middle := m.find(first), m.find(last), m.find((first+last)/2)
	for d := 0; d <= high-low; d++ {
		for _, k := range []int{middle + d, middle - d} {
			if k >= low && k <= high && (!m.blocks[k].loaded() || m.blocks[k].stale) {
				m.touch(m.blocks[k])
				return m.blocks[k]
			}
		}
	}
	return nil
}
