package claim

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"

	"qvmremote/daemon/audit"
)

// TestAtMostOnce drives a book as the executor does, under any clock, with
// starts anew that read the log from where its carry says, and holds it
// against what was ever claimed.
func TestAtMostOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{book: newSmallBook(), claimed: map[name]bool{}, open: map[[2]string]Status{}}
		m.rotate() // every log begins with a carry
		t.Repeat(map[string]func(*rapid.T){
			"claim":   m.claim,
			"end":     m.end,
			"forget":  func(t *rapid.T) { m.book.Forget(time.Unix(anyTime(t)+int64(Keep/time.Second), 0)) },
			"floor":   m.floor,
			"rotate":  func(*rapid.T) { m.rotate() },
			"restart": m.restart,
			"prune":   m.prune,
			"":        m.check,
		})
	})
}

// name is a request as its MAC binds it: the same id may be signed again, with
// another time or key.
type name struct {
	qube, id, key string
	issued        int64
}

type machine struct {
	book    *Book
	log     []audit.Record // what was not pruned
	next    int64
	claimed map[name]bool
	open    map[[2]string]Status // of (qube, id) that is not delivered
}

func newSmallBook() *Book {
	b := NewBook()
	b.limit = 12
	return b
}

var (
	someQube = rapid.SampledFrom([]string{"work", "vault"})
	someID   = rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"})
	someKey  = rapid.SampledFrom([]string{"k1", "k2"})
)

func anyTime(t *rapid.T) int64 { return rapid.Int64Range(1, 40).Draw(t, "time") }

func (m *machine) add(r audit.Record) {
	r.Seq = m.next
	m.next++
	m.log = append(m.log, r)
	m.book.Apply(r)
}

// claim takes a request if the book lets it in, as the executor would.
func (m *machine) claim(t *rapid.T) {
	n := name{someQube.Draw(t, "qube"), someID.Draw(t, "id"), someKey.Draw(t, "key"), anyTime(t)}
	floor, _ := m.book.Floor(n.qube, n.key)
	if m.book.Lookup(n.qube, n.id) != Unknown || n.issued < floor {
		return
	}
	if m.claimed[n] {
		t.Fatalf("%+v was let in a second time", n)
	}
	m.claimed[n] = true
	m.open[[2]string{n.qube, n.id}] = Open
	m.add(claimOf(n.qube, n.id, n.key, n.issued, m.next))
}

func (m *machine) end(t *rapid.T) {
	for _, event := range []audit.Event{audit.Final, audit.Delivered} {
		n := [2]string{someQube.Draw(t, "qube"), someID.Draw(t, "id")}
		was := m.open[n]
		if was == Open && event == audit.Final {
			m.open[n] = Final
		} else if was == Final && event == audit.Delivered {
			delete(m.open, n)
		} else {
			continue
		}
		m.add(audit.Record{Event: event, Qube: n[0], ID: n[1]})
	}
}

func (m *machine) floor(t *rapid.T) {
	m.add(audit.Record{Event: audit.Floor, Qube: someQube.Draw(t, "qube"), Key: someKey.Draw(t, "key"), Floor: anyTime(t)})
}

// rotate begins a new segment.
func (m *machine) rotate() {
	state, oldest := m.book.Carry()
	m.add(audit.Record{Event: audit.CarryEvent, Carry: state, Oldest: oldest})
}

// restart reads the log as audit.Open does: from the segment with the oldest
// record that the newest carry names.
func (m *machine) restart(t *rapid.T) {
	from := 0
	for i, r := range m.log {
		if r.Event == audit.CarryEvent {
			from = i
		}
	}
	oldest := m.log[from].Oldest
	for i := from; oldest >= 0 && i >= 0 && m.log[from].Seq > oldest; i-- {
		if m.log[i].Event == audit.CarryEvent {
			from = i
		}
	}
	b := newSmallBook()
	if err := b.Load(json.RawMessage(m.log[from].Carry)); err != nil {
		t.Fatal(err)
	}
	for _, r := range m.log[from+1:] {
		b.Apply(r)
	}
	m.book = b
}

// prune removes whole segments, never the newest.
func (m *machine) prune(t *rapid.T) {
	var begins []int
	for i, r := range m.log {
		if r.Event == audit.CarryEvent {
			begins = append(begins, i)
		}
	}
	i := begins[rapid.IntRange(0, len(begins)-1).Draw(t, "segment")]
	upTo := m.log[i].Seq
	for _, r := range m.book.Prune(upTo) {
		m.add(r)
	}
	m.log = m.log[i:]
}

// check: nothing that was ever claimed could come in again, what is not
// delivered is there, and the limits hold.
func (m *machine) check(t *rapid.T) {
	for n := range m.claimed {
		floor, _ := m.book.Floor(n.qube, n.key)
		if m.book.Lookup(n.qube, n.id) == Unknown && n.issued >= floor {
			t.Fatalf("%+v could be claimed again: unknown, and the floor is %d", n, floor)
		}
	}
	for n, want := range m.open {
		if got := m.book.Lookup(n[0], n[1]); got != want {
			t.Fatalf("%v is %v, want %v", n, got, want)
		}
	}
	if m.book.total > m.book.limit {
		t.Fatalf("%d claims held, the limit is %d", m.book.total, m.book.limit)
	}
	held := 0
	for _, q := range m.book.qubes {
		held += len(q.claims)
	}
	if held != m.book.total {
		t.Fatalf("%d claims are there, %d counted", held, m.book.total)
	}
}
