package daemon

import (
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

func TestRequestsAMinuteFillEvenly(t *testing.T) {
	t.Parallel()
	var r rate
	now := time.Now()
	take := func() (n int) {
		for r.take(now, 6) {
			n++
		}
		return n
	}
	if n := take(); n != 6 {
		t.Fatalf("%d at once of 6 a minute", n)
	}
	now = now.Add(25 * time.Second)
	if n := take(); n != 2 {
		t.Fatalf("%d after 25 s", n)
	}
	now = now.Add(time.Hour)
	if n := take(); n != 6 {
		t.Fatalf("%d after an hour", n)
	}
	if !r.take(now, 0) {
		t.Error("no limit is none")
	}
	if n := take(); n != 0 {
		t.Errorf("%d at once when there is a limit again", n)
	}
}

func TestWrongMACsMakeAQubeWait(t *testing.T) {
	t.Parallel()
	var r rate
	last := time.Duration(0)
	for i := range 100 {
		r.fail()
		pause := r.backOff()
		if i < failuresFree && pause != 0 || pause < last || pause > lastBackOff {
			t.Fatalf("after %d: %v", i+1, pause)
		}
		last = pause
	}
	if last != lastBackOff {
		t.Errorf("after many it waits only %v", last)
	}
	r.good()
	if r.backOff() != 0 {
		t.Error("a good one does not make up for it")
	}
}

// meta changes what dom0 knows of the qube beside its key.
func (w *world) meta(q *testQube, change func(*keys.Meta)) {
	w.t.Helper()
	s, err := keys.Open(w.o.Root.Keys())
	if err != nil {
		w.t.Fatal(err)
	}
	unlock, err := s.Lock(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	defer unlock()
	held, err := s.Get(q.name)
	if err == nil {
		change(&held.Meta)
		err = s.PutMeta(q.name, held.Meta)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestACountedKeyRunsSoManyAndPings(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.observed()
	q.ran("first", q.submit("first", "true\n")) // dom0 has seen the key
	w.meta(q, func(m *keys.Meta) { m.Count = 2 })
	q.ran("one", q.submit("one", "true\n"))
	ping := q.header("ping", "", func(r *queue.Request) { r.Kind, r.Body = queue.KindPing, queue.SumOf(nil) })
	q.put("ping", ping, "")
	q.ran("ping", ping)
	q.ran("two", q.submit("two", "true\n"))
	three := q.submit("three", "true\n")
	if r := q.denial("three", three); r.Reason != queue.GrantEnded {
		t.Errorf("the third of two: %+v", r)
	}
	w.meta(q, func(m *keys.Meta) { m.Count = 0 })
	q.ran("four", q.submit("four", "true\n"))
}

// TestALimitThatComesWithTheRequestCounts: one set after the qube's key was read,
// and before the claim.
func TestALimitThatComesWithTheRequestCounts(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	x, _, _ := w.observed()
	q.ran("first", q.submit("first", "true\n"))
	at := x.qubeOf(q.name)
	before, d := at.holding()
	header := q.header("late", "true\n", nil)
	req, key, bad := (queue.Check{ID: "late", Qube: q.name, Now: x.now(), MaxTimeout: 600, MaxBody: 100, MaxStdin: 100, Floor: at.floor}).Request(header, before.Current, before.Next)
	if d != nil || bad != nil {
		t.Fatal(d, bad)
	}
	w.meta(q, func(m *keys.Meta) { m.Count, m.Spent = 1, 1 })
	if r, d, err := at.claimIt(t.Context(), "late", header, req, key, before, nil); d == nil || d.Reason != queue.GrantEnded {
		t.Errorf("claimed: %v, %v, %v", r, d, err)
	}
}

func TestATimeOfAnotherBootHasPassed(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Boot = boot.Clock{ID: "this", Now: func() time.Duration { return time.Hour }}
	w.observed()
	q.ran("first", q.submit("first", "true\n"))
	for id, m := range map[string]keys.Meta{
		"other-boot": {End: boot.End{Boot: "another", At: 1000 * time.Hour}}, "over": {End: boot.End{Boot: "this", At: time.Hour}},
		"reboot": {End: boot.End{Boot: "another"}}, "wall-clock-alone": {Until: 1 << 40},
	} {
		w.meta(q, func(old *keys.Meta) { old.End, old.Until = m.End, m.Until })
		header := q.submit(id, "true\n")
		if r := q.denial(id, header); r.Reason != queue.GrantEnded {
			t.Errorf("%s: %+v", id, r)
		}
	}
	w.meta(q, func(m *keys.Meta) { m.End, m.Until = boot.End{Boot: "this", At: 2 * time.Hour}, 7 })
	q.ran("good", q.submit("good", "true\n"))
}

func TestTooManyWrongMACsSuspendAQube(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_SUSPEND_AFTER=3")
	_, _, stop := w.observed()
	q.ran("first", q.submit("first", "true\n"))
	forger := &testQube{name: q.name, key: queue.GenerateKey()}
	for _, id := range []string{"bad-1", "bad-2", "bad-3"} {
		header := forger.header(id, "true\n", nil)
		q.put(id, header, "true\n")
		q.until("a refusal of "+id, func() bool { return len(q.denies[id]) > 0 })
	}
	w.eventually("it is recorded", func() bool { return w.count(audit.Suspended, "") == 1 })
	if r := q.denial("good", q.submit("good", "true\n")); r.Reason != queue.Suspended {
		t.Errorf("suspended: %+v", r)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.observed()
	if r := q.denial("later", q.submit("later", "true\n")); r.Reason != queue.Suspended {
		t.Errorf("after a restart: %+v", r)
	}
	w.meta(q, func(m *keys.Meta) { m.Suspended = 0 })
	q.ran("resumed", q.submit("resumed", "true\n"))
}
