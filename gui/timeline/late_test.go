package timeline

import (
	"context"
	"strings"
	"testing"

	"qvmremote/dbus"
)

func take(t *testing.T, m *Model, w Want, from Source) {
	t.Helper()
	a := w.Fetch(context.Background(), from)
	if a.Err != nil {
		t.Fatal(a.Err)
	}
	m.Take(a)
}

// TestEndsWhileSearched: a request that ends after the search for its start was
// begun is not shown as running, whichever answer comes first.
func TestEndsWhileSearched(t *testing.T) {
	for _, f := range []Filter{{}, {Qube: "work"}} {
		l := newLog(func() int { return 1000 })
		l.happening(6)
		m := New(f, uint64(len(l.records)))
		before, _ := m.Next(0, 0)
		late := before.Fetch(context.Background(), l) // while it runs
		m.Add(l.happening(32 + 2))
		if !f.whole() {
			w, _ := m.Next(0, 0)
			take(t, m, w, l)
		}
		m.Take(late)
		for i := range m.Len() {
			if r, ok := m.Row(i); ok && r.Event == "run" {
				t.Errorf("%+v shows as running what has ended: %+v", f, r)
			}
		}
	}
}

// TestMoreEndsThanAreRemembered: so many requests end meanwhile that it is not
// known any more which.
func TestMoreEndsThanAreRemembered(t *testing.T) {
	for _, f := range []Filter{{}, {Qube: "work"}} {
		l := newLog(func() int { return 1000 })
		l.happening(6)
		few := usual
		few.ends = 1
		m := newModel(f, uint64(len(l.records)), few)
		before, _ := m.Next(0, 0)
		late := before.Fetch(context.Background(), l)
		for _, n := range []int{32 + 2, 6, 32 + 2} { // it ends, and so does another
			m.Add(l.happening(n))
		}
		if !f.whole() {
			w, _ := m.Next(0, 0)
			take(t, m, w, l)
		}
		m.Take(late)
		for w, ok := m.Next(0, 9); ok; w, ok = m.Next(0, 9) {
			take(t, m, w, l)
		}
		for i := range m.Len() {
			if r, ok := m.Row(i); !ok || r.Event != "final" {
				t.Errorf("%+v shows row %d of %d as %+v (%v)", f, i, m.Len(), r, ok)
			}
		}
	}
}

// TestNewsStay: a row that is shown does not go while what it says is fetched.
func TestNewsStay(t *testing.T) {
	l := newLog(func() int { return 1000 })
	l.happening(0)
	m := New(Filter{}, uint64(len(l.records)))
	w, _ := m.Next(0, 0)
	take(t, m, w, l)
	m.Add(l.happening(0))
	w, _ = m.Next(0, 0)
	m.Add(l.happening(8))
	take(t, m, w, l)
	if r, ok := m.Row(0); !ok || r.Qube != "dev" || m.Len() != 3 {
		t.Errorf("of %d rows the first is %+v (%v)", m.Len(), r, ok)
	}
}

// TestLongCommand: a text is found at the end of a long command, of which no
// more is held than a row shows.
func TestLongCommand(t *testing.T) {
	l := newLog(func() int { return 1000 })
	for range 2 * batch {
		l.add(dbus.Record{Event: "refused"})
	}
	l.add(dbus.Record{Event: "run", Qube: "work", Number: 1, Command: strings.Repeat("é", 40_000) + "needle"})
	l.add(dbus.Record{Event: "final", Qube: "work", Number: 1, State: "exit", OutHead: "out"})
	p, err := Compile("needle$")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []Filter{{Text: "needle"}, {Pattern: p}} {
		m := New(f, uint64(len(l.records)))
		searchAll(t, m, l)
		r, ok := m.Row(0)
		if !ok {
			t.Fatalf("%+v does not find it", f)
		}
		if len(r.Command) > maxCommand || r.OutHead != "" || strings.ToValidUTF8(r.Command, "?") != r.Command {
			t.Errorf("held are %d bytes of it, ending in %q, and of its output %q", len(r.Command), r.Command[len(r.Command)-3:], r.OutHead)
		}
	}
}

// TestSearchShowsHowFarItIs: one that finds nothing comes back again and again
// before it is done.
func TestSearchShowsHowFarItIs(t *testing.T) {
	l := newLog(func() int { return 10 })
	for range 1000 {
		l.happening(0)
	}
	m := New(Filter{Text: "nowhere"}, uint64(len(l.records)))
	part := 0.0
	for steps := 0; m.Searching(); steps++ {
		w, _ := m.Next(0, 0)
		take(t, m, w, l)
		if now := m.Reached(); now <= part || now-part > 0.5 {
			t.Fatalf("step %d leads from %.2f to %.2f", steps, part, now)
		}
		part = m.Reached()
	}
}

// TestKindsAskForNothingElse: what cannot be a row is not sent, where the
// service can tell.
func TestKindsAskForNothingElse(t *testing.T) {
	for _, kind := range []Kind{Decision, Ended} {
		l := requestsLog(1000)
		l.add(dbus.Record{Event: "revoked", Qube: "work"})
		l.add(dbus.Record{Event: "final", Qube: "work", Number: 1001, State: "cancelled"})
		m := New(Filter{Kind: kind}, uint64(len(l.records)))
		searchAll(t, m, l)
		if m.Len() != 1 || l.calls > 10 {
			t.Errorf("%s: %d rows were found with %d calls", kind, m.Len(), l.calls)
		}
	}
}

// TestEndsWhileItsRowIsFetched: the row of a request that ended is there, when
// all that was known of the log before is that it began.
func TestEndsWhileItsRowIsFetched(t *testing.T) {
	l := newLog(func() int { return 1000 })
	l.happening(6)
	m := New(Filter{}, uint64(len(l.records)))
	before, _ := m.Next(0, 0)
	m.Add(l.happening(32 + 2))
	take(t, m, before, l)
	for w, ok := m.Next(0, 9); ok; w, ok = m.Next(0, 9) {
		take(t, m, w, l)
	}
	if r, ok := m.Row(0); !ok || r.Event != "final" || m.Len() != 1 {
		t.Errorf("of %d rows the first is %+v (%v)", m.Len(), r, ok)
	}
}
