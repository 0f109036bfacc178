package dbus

import (
	"errors"
	"slices"
	"testing"

	godbus "github.com/godbus/dbus/v5"
	"pgregory.net/rapid"
)

func TestNewsFillGaps(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running)
	f.logs(1000)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	f.tells(700) // 10 to 699 did not come
	f.tells(701)
	if news := awaitNews(t, m, 10, 702); !onlyAdded(news) || len(news) != 692 {
		t.Errorf("%d news: %v", len(news), kinds(news))
	}
	if n := len(f.got("ExportAuditText")); n != 4 {
		t.Errorf("690 records took %d calls", n)
	}
	f.tells(700, 701, 702) // twice
	if news := awaitNews(t, m, 702, 703); !onlyAdded(news) {
		t.Errorf("after records that were told twice: %v", kinds(news))
	}
}

// TestTheHeadCountsWhatWasTold: whoever begins at the head that is shown misses
// nothing, though the service tells of its property later than of the records.
func TestTheHeadCountsWhatWasTold(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	f.tells(10, 11)
	awaitNews(t, m, 10, 12)
	if head := m.Snapshot().Manager.AuditHead; head != 12 {
		t.Errorf("after news of record 11 there are %d records", head)
	}
}

func TestNewsSayWhatIsMissed(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running)
	m := mirror(t, c, func(l *limits) { l.news = 100 })
	await(t, m, "the first state", available)

	f.tells(200) // too many are missing
	if news := awaitNews(t, m, 10, 201); !slices.Equal(kinds(news), []NewsKind{Missed, Added}) {
		t.Errorf("a large gap: %+v", news)
	}
	f.fail("ExportAuditText", NotAuthorized.Name(), "no")
	f.tells(250)
	if news := awaitNews(t, m, 201, 251); !slices.Equal(kinds(news), []NewsKind{Missed, Added}) {
		t.Errorf("a gap that may not be read: %+v", news)
	}
	f.reply("ExportAuditText", lines(251, 255)+"{damaged\n"+lines(256, 260), uint64(262)) // and 260, 261 are pruned
	f.tells(262)
	if news := awaitNews(t, m, 251, 263); !slices.Equal(kinds(news), []NewsKind{Added, Missed, Added, Missed, Added}) {
		t.Errorf("a gap with holes: %+v", news)
	}
	f.reply("ExportAuditText", "", uint64(0)) // never goes on
	f.tells(270)
	if news := awaitNews(t, m, 263, 271); !slices.Equal(kinds(news), []NewsKind{Missed, Added}) {
		t.Errorf("a gap that does not end: %+v", news)
	}
}

// TestNobodyTakesNews: a consumer that does not look costs a bounded amount,
// and learns what it missed.
func TestNobodyTakesNews(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running)
	m := mirror(t, c, func(l *limits) { l.news = 50 })
	await(t, m, "the first state", available)
	for seq := uint64(10); seq < 2010; seq += 2 {
		f.tells(seq, seq+1)
	}
	f.changes(map[string]any{"Pid": uint32(99)})
	await(t, m, "the last signal", func(s Snapshot) bool { return s.Manager.Pid == 99 })
	news := awaitNews(t, m, 10, 2010)
	if len(news) > 50 || news[0].Kind != Missed || news[len(news)-1].Kind != Added {
		t.Errorf("%d news: %v", len(news), kinds(news))
	}
}

func TestBurst(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	const signals = 10_000
	go func() {
		for n := uint64(0); n < signals; n += 2 {
			f.tells(10 + n/2)
			f.changes(map[string]any{"AuditHead": 11 + n/2})
		}
	}()
	if news := awaitNews(t, m, 10, 10+signals/2); !onlyAdded(news) {
		t.Errorf("%d news: %v", len(news), kinds(news))
	}
	await(t, m, "the last state", func(s Snapshot) bool { return s.Manager.AuditHead == 10+signals/2 })
}

// TestSignalsThatDoNotFit: when too many wait, everything is read anew.
func TestSignalsThatDoNotFit(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work)
	f.logs(1000)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	paused := running
	paused.State, paused.AuditHead = Paused, 15
	f.has(paused, work)
	lose(c)
	await(t, m, "the state read anew", func(s Snapshot) bool { return s.Manager.State == Paused && available(s) })
	if news := awaitNews(t, m, 10, 15); !onlyAdded(news) {
		t.Errorf("news: %+v", news)
	}
}

func lose(c *Client) {
	c.signals.mu.Lock()
	defer c.signals.mu.Unlock()
	c.signals.lost = true
	c.signals.wake()
}

func TestSignalsThatDoNotFitWhileReading(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.on("GetManagedObjects", func(asked) ([]any, error) {
		f.has(Manager{State: Paused})
		f.on("GetManagedObjects", func(asked) ([]any, error) { return []any{managed(t, work)}, nil })
		lose(c)
		eventually(t, "that it is noticed", func() bool {
			c.signals.mu.Lock()
			defer c.signals.mu.Unlock()
			return !c.signals.lost
		})
		return []any{managed(t)}, nil // what changed since is lost
	})
	m := mirror(t, c)
	if got := await(t, m, "a state", available); len(got.Qubes) != 1 {
		t.Error("it shows what it read before it lost signals")
	}
}

func TestSignalQueueIsBounded(t *testing.T) {
	t.Parallel()
	q := newSignalQueue()
	q.open()
	q.own(":1.1", 1)
	for n := range 3 * maxSignals {
		q.DeliverSignal("", "", &godbus.Signal{Sender: ":1.1", Sequence: godbus.Sequence(n + 2)})
	}
	got := q.take()
	if len(got.signals) > maxSignals || len(got.signals) == 0 || !got.lost || got.owner != ":1.1" {
		t.Errorf("%d signals wait, lost %v, owner %s", len(got.signals), got.lost, got.owner)
	}
	if last := got.signals[len(got.signals)-1].Sequence; last != 3*maxSignals+1 {
		t.Errorf("the last signal is not the last one that came, but %d", last)
	}
	if again := q.take(); len(again.signals) > 0 || again.lost {
		t.Errorf("%d signals are there twice", len(again.signals))
	}
	if owner := q.own(":1.0", 0); owner != ":1.1" {
		t.Errorf("an old answer makes %s the owner", owner)
	}
}

func TestShorterLog(t *testing.T) {
	t.Parallel()
	notice := func(seq uint64, qube string) Notice {
		return Notice{Seq: seq, Time: recordTime(seq), Event: "final", Qube: qube}
	}
	begin := func() *recordLog {
		l := &recordLog{max: 1000}
		l.restart(100)
		for seq := uint64(100); seq < 110; seq++ {
			l.add(notice(seq, "a"))
		}
		l.queue = nil
		return l
	}
	for name, test := range map[string]struct {
		do   func(*recordLog)
		want []NewsKind
		next uint64
	}{
		"far shorter": {func(l *recordLog) { l.restart(50); l.add(notice(50, "b")) }, []NewsKind{Rewritten, Added}, 51},
		"a little behind, and the same": {func(l *recordLog) {
			l.restart(108)
			l.add(notice(108, "a"))
			l.add(notice(109, "a"))
			l.add(notice(110, "a"))
		}, []NewsKind{Added}, 111},
		"a little shorter, and another": {func(l *recordLog) {
			l.restart(108)
			l.add(notice(108, "b"))
			l.add(notice(109, "b"))
		}, []NewsKind{Rewritten, Added}, 110},
		"a gap that another owner does not have": {func(l *recordLog) {
			l.add(notice(200, "a"))
			l.restart(110)
			l.add(notice(110, "a"))
		}, []NewsKind{Added}, 111},
	} {
		l := begin()
		test.do(l)
		if got := kinds(l.queue); !slices.Equal(got, test.want) || l.next != test.next {
			t.Errorf("%s: %v, next %d", name, got, l.next)
		}
	}
}

// TestNewsProperty: whatever is lost, told twice, fetched or not to be had, in
// a log that only grows the news tell of each record once and in order.
func TestNewsProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := &recordLog{max: rapid.IntRange(2, 40).Draw(t, "max")}
		head := rapid.Uint64Range(0, 5).Draw(t, "head")
		l.restart(head)
		told, first := head, head
		expect := head
		take := func() {
			for _, n := range l.queue {
				if n.From != expect || n.To <= n.From || n.Kind == Rewritten || n.Kind == Added && n.Notice.Seq != n.From {
					t.Fatalf("after %d: %+v", expect, n)
				}
				expect = n.To
			}
			l.queue = nil
		}
		page := func() {
			if l.gap == 0 {
				return
			}
			from, to := l.next, min(l.gap, l.next+rapid.Uint64Range(0, 9).Draw(t, "page"))
			var records []Record
			for seq := from; seq < to; seq++ {
				if rapid.IntRange(0, 9).Draw(t, "damaged") > 0 {
					records = append(records, recordOf(line(seq)))
				}
			}
			var err error
			if rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
				err = errors.New("no")
			}
			l.page(from, records, to, err)
		}
		t.Repeat(map[string]func(*rapid.T){
			"tell": func(t *rapid.T) { l.add(noticeOf(recordOf(line(told)))); told++ },
			"lose": func(t *rapid.T) { told += rapid.Uint64Range(1, 50).Draw(t, "lost") },
			"again": func(t *rapid.T) {
				l.add(noticeOf(recordOf(line(rapid.Uint64Range(first, max(first, told)).Draw(t, "old")))))
			},
			"page":    func(t *rapid.T) { page() },
			"take":    func(t *rapid.T) { take() },
			"restart": func(t *rapid.T) { l.restart(told) },
		})
		l.restart(told)
		for l.gap != 0 {
			page()
		}
		take()
		if expect < told {
			t.Fatalf("%d records, news of %d", told, expect)
		}
	})
}
