package link

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"qvmremote/dbus"
	"qvmremote/test/bus"
)

// never is a time that no test waits for.
func never(to *time.Duration) { *to = 1000 * time.Hour }

func TestTheServiceIsShownAfterDialling(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	serve(t, b)
	w := watch(t, b.Address, nil)
	first := w.next()
	if !first.Fresh || first.Quiet == nil || first.Asking == nil {
		t.Errorf("the first report of a connection: %+v", first.Report)
	}
	for first.Snapshot.Availability != dbus.Available {
		first.taken()
		if first = w.next(); first.Fresh {
			t.Error("a later report of the same connection is fresh, too")
		}
	}
	if m := first.Snapshot.Manager; m.Version != "2.0.0" || m.Pid != 7 || first.Snapshot.Why != "" {
		t.Errorf("it shows %+v", first.Snapshot)
	}
}

// TestOnlyWhatAPersonAskedForMayAskThem: polkit asks the person for the one
// client's calls and never for the other's.
func TestOnlyWhatAPersonAskedForMayAskThem(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := serve(t, b)
	r := watch(t, b.Address, nil).until(dbus.Available)
	if err := errors.Join(r.Asking.Pause(t.Context()), r.Quiet.Resume(t.Context())); err != nil {
		t.Fatal(err)
	}
	if !s.mayAsk("Pause") || s.mayAsk("Resume") {
		t.Errorf("polkit may ask: for what was asked %t, for the program's own %t", s.mayAsk("Pause"), s.mayAsk("Resume"))
	}
}

// TestABusThatAppearsIsFound: there is none at first, which is said, with words
// and without clients; by itself it is better once there is one.
func TestABusThatAppearsIsFound(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	b.Stop()
	w := watch(t, b.Address, nil)
	r := w.next()
	if s := r.Snapshot; s.Availability != dbus.NoBus || !s.Stale || !strings.Contains(s.Why, "message bus") {
		t.Errorf("without a bus it shows %+v", s)
	}
	if r.Quiet != nil || r.Asking != nil {
		t.Error("without a bus there are clients")
	}
	b.Start(t)
	serve(t, b)
	r.taken()
	w.until(dbus.Available)
}

// TestTryAgainDoesNotWaitForABus: whoever presses the button gets a try now,
// not at the next time that is due.
func TestTryAgainDoesNotWaitForABus(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	b.Stop()
	w := watch(t, b.Address, func(t *times) { never(&t.delay); never(&t.longest) })
	w.next().taken()
	b.Start(t)
	serve(t, b)
	w.Retry()
	w.until(dbus.Available)
}

// TestTryAgainAsksTheServiceOnceMore: a refusal is not asked about again but
// when a person says so.
func TestTryAgainAsksTheServiceOnceMore(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := serve(t, b)
	s.refuse(true)
	w := watch(t, b.Address, nil)
	r := w.until(dbus.Forbidden)
	s.refuse(false)
	r.taken()
	w.Retry()
	w.until(dbus.Available)
}

// TestABusThatRestartsHeals: the clients from before fail, there are none
// meanwhile, and those of the new connection work.
func TestABusThatRestartsHeals(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	serve(t, b)
	// It dials when it is told to, so that what is without clients is the loss.
	w := watch(t, b.Address, func(t *times) { never(&t.delay); never(&t.longest) })
	before := w.until(dbus.Available)
	b.Stop()
	before.taken()
	r := w.until(dbus.NoBus)
	for r.Quiet != nil {
		r.taken()
		r = w.until(dbus.NoBus)
	}
	if r.Asking != nil {
		t.Error("one client is left")
	}
	if _, err := before.Quiet.ReadManager(t.Context()); !errors.Is(err, dbus.Err(dbus.Disconnected)) {
		t.Errorf("a client of the lost connection: %v", err)
	}
	b.Start(t)
	serve(t, b)
	r.taken()
	w.Retry()
	for r = w.next(); r.Quiet == nil; r = w.next() {
		r.taken()
	}
	if !r.Fresh {
		t.Error("nothing says that this is another connection")
	}
	if r.Snapshot.Availability != dbus.Available {
		r.taken()
		r = w.until(dbus.Available)
	}
	if _, err := r.Quiet.ReadManager(t.Context()); err != nil {
		t.Errorf("a client of the new connection: %v", err)
	}
}

// TestAServiceThatRestartsHeals: over the same connection, whose log goes on.
func TestAServiceThatRestartsHeals(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := serve(t, b)
	w := watch(t, b.Address, nil)
	before := w.until(dbus.Available)
	s.leave()
	before.taken()
	r := w.next()
	for ; r.Snapshot.Availability == dbus.Available; r = w.next() {
		r.taken()
	}
	if a := r.Snapshot.Availability; a != dbus.Restarting && a != dbus.NoService || r.Snapshot.Why == "" {
		t.Errorf("without its service it shows %+v", r.Snapshot)
	}
	s.own()
	for ; r.Snapshot.Availability != dbus.Available; r = w.next() {
		if r.Fresh {
			t.Error("the same connection counts as another one")
		}
		r.taken()
	}
	if r.Quiet != before.Quiet || r.Asking != before.Asking {
		t.Error("the clients are others though the connection is the same")
	}
}

// TestAFloodIsToldInFewReports: whatever comes while a report is not taken
// comes with the next ones, all of it and in order.
func TestAFloodIsToldInFewReports(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := serve(t, b)
	w := watch(t, b.Address, nil)
	r := w.until(dbus.Available)
	const flood = 3000
	s.adds(flood)
	w.arrived(r.Quiet)
	news, reports := r.News, 0
	for len(news) < flood {
		r.taken()
		r = w.next()
		news = append(news, r.News...)
		reports++
		if head, told := r.Snapshot.Manager.AuditHead, news[len(news)-1].To; head < told {
			t.Errorf("a report of %d records has news of %d", head, told)
		}
	}
	inOrder(t, news, flood)
	// All has come; the mirror is in the middle of one part of it at most, after
	// another that it has told of.
	if reports > 3 {
		t.Errorf("%d news are handed on in %d reports", flood, reports)
	}
}

// TestReportsAreApart: that the last one was taken is not enough.
func TestReportsAreApart(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := serve(t, b)
	w := watch(t, b.Address, func(t *times) { never(&t.apart) })
	r := w.next()
	r.taken()
	for range 20 {
		s.adds(10)
		w.arrived(r.Quiet)
	}
	w.end()
	select {
	case r := <-w.reports:
		t.Errorf("another report follows at once: %+v", r.Report)
	default:
	}
	if usual := New("", nil).times.apart; usual < 50*time.Millisecond {
		t.Errorf("reports are %v apart: more than twenty a second", usual)
	}
}

// TestASlowReaderMissesNothing: more comes before each report is taken.
func TestASlowReaderMissesNothing(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	s := serve(t, b)
	w := watch(t, b.Address, nil)
	r := w.until(dbus.Available)
	var news = r.News
	const rounds, each = 20, 7
	for round := range rounds {
		s.adds(each)
		w.arrived(r.Quiet)
		for first := true; first || round == rounds-1 && len(news) < rounds*each; first = false {
			r.taken()
			r = w.next()
			news = append(news, r.News...)
		}
	}
	inOrder(t, news, rounds*each)
}

// inOrder holds news to be of the records 0 to n, each once.
func inOrder(t *testing.T, news []dbus.News, n int) {
	t.Helper()
	if len(news) != n {
		t.Errorf("%d news of %d", len(news), n)
	}
	for i, one := range news {
		if one.Kind != dbus.Added || one.Notice.Seq != uint64(i) {
			t.Fatalf("in place %d is %+v", i, one)
		}
	}
}

// TestNothingRunsOnAfterTheEnd is alone: it looks at all goroutines.
func TestNothingRunsOnAfterTheEnd(t *testing.T) {
	b := bus.Start(t)
	serve(t, b)
	before := running()
	for _, taken := range []bool{true, false} {
		w := watch(t, b.Address, nil)
		if r := w.until(dbus.Available); taken {
			r.taken()
		}
		w.end()
	}
	// Connections end by themselves once they are closed.
	for late := time.Now().Add(limit); running() > before; runtime.Gosched() {
		if time.Now().After(late) {
			text := make([]byte, 1<<20)
			t.Fatalf("%d goroutines are left:\n%s", running()-before, text[:runtime.Stack(text, true)])
		}
	}
}

// running counts the goroutines of this program's own packages and of the bus.
func running() int {
	text := make([]byte, 1<<20)
	n := 0
	for g := range strings.SplitSeq(string(text[:runtime.Stack(text, true)]), "\n\n") {
		if strings.Contains(g, "qvmremote/dbus") || strings.Contains(g, "qvmremote/gui/link.(*Link)") || strings.Contains(g, "godbus/dbus/v5") {
			n++
		}
	}
	return n
}

// TestAfterTheEndNothingIsReported: not even that there is no bus.
func TestAfterTheEndNothingIsReported(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	l := New("unix:path=/nonexistent", func(Report, func()) { t.Error("it reports") })
	l.Run(ctx)
	l.deliver(ctx, Report{})
}
