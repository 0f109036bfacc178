package timeline

import (
	"slices"

	"qvmremote/dbus"
)

// Add is news of the log, in their order. again says that the model is
// worthless, since the log is another one or too much happened, and is to be
// made anew.
func (m *Model) Add(news []dbus.News) (changes []Splice, again bool) {
	if slices.ContainsFunc(news, func(n dbus.News) bool { return n.Kind == dbus.Rewritten }) {
		return nil, true
	}
	if len(news) == 0 {
		return nil, false
	}
	if !m.filter.whole() {
		m.head = max(m.head, news[len(news)-1].To)
		return nil, m.head-m.top > uint64(m.limits.recent)
	}
	if len(news) > m.limits.news {
		news = []dbus.News{{Kind: dbus.Missed, To: news[len(news)-1].To}}
	}
	t := &top{Model: m}
	for _, n := range news {
		switch {
		case n.To <= m.head: // told twice
		case n.Kind == dbus.Added:
			t.skip(n.Notice.Seq)
			t.add(n.Notice)
		default:
			t.skip(n.To)
		}
	}
	m.evict()
	return t.splices(), false
}

// top is what news change in the whole log. All but the ends of what ran adds
// rows on top, so that however many news are few changes.
type top struct {
	*Model
	added   int // rows on top that were not told yet
	changes []Splice
}

func (t *top) splices() []Splice {
	if t.added > 0 {
		t.changes = append(t.changes, Splice{0, 0, t.added})
	}
	return t.changes
}

// skip is that there are records below to of which nothing is known.
func (t *top) skip(to uint64) {
	if to <= t.head {
		return
	}
	t.added += t.cover(t.head, to)
	t.head = to
	t.ends.forget(to)
	for _, b := range t.blocks {
		if t.filter.Kind != Every && slices.ContainsFunc(b.held, isStart) {
			b.stale = true // it may have ended
		}
	}
}

// add is one record, of which its notice is known.
func (t *top) add(n dbus.Notice) {
	t.head = n.Seq + 1
	r := dbus.Record{Seq: n.Seq, Time: n.Time, Event: n.Event, Qube: n.Qube, Number: n.Number, State: n.State}
	if n.Event == "final" && n.Number != 0 && t.filter.Kind != Every {
		t.ends.add(end{n.Seq, n.Number})
		t.endStart(n.Number)
	}
	b := t.newest(n.Seq)
	b.high = n.Seq + 1
	if !t.filter.fits(r) {
		return
	}
	if b.held != nil {
		b.held = slices.Insert(b.held, 0, r)
	}
	b.rows++
	b.stale = true
	t.starts = nil
	t.added++
}

// newest is the block of the record that comes next. One whose rows are not held
// has nowhere to put it: how many rows it has is found when it is fetched, and
// that may have been asked before.
func (m *Model) newest(seq uint64) *block {
	if len(m.blocks) > 0 && m.blocks[0].held != nil && m.blocks[0].low/span == seq/span {
		m.touch(m.blocks[0])
		return m.blocks[0]
	}
	b := &block{low: seq, high: seq, known: true, held: []dbus.Record{}}
	m.touch(b)
	m.blocks = slices.Insert(m.blocks, 0, b)
	m.starts = nil
	return b
}

func isStart(r dbus.Record) bool { return r.Event == "run" }

// endStart takes away the row of a request that ran until now.
func (t *top) endStart(number uint64) {
	for k, b := range t.blocks {
		i := slices.IndexFunc(b.held, func(r dbus.Record) bool { return isStart(r) && r.Number == number })
		if i < 0 {
			continue
		}
		t.count()
		if at := t.Model.starts[k] + i; at < t.added {
			t.added-- // nobody knows of it
		} else {
			t.changes = append(t.changes, Splice{at - t.added, 1, 0})
		}
		b.held = slices.Delete(b.held, i, i+1)
		b.rows--
		t.starts = nil
		return
	}
}
