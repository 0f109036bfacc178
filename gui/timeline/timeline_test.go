package timeline

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"qvmremote/dbus"
)

// small are limits that a short log reaches.
func small(f Filter) limits {
	l := limits{rows: 4 * page, news: 20, recent: 400, ends: 5}
	if f.whole() {
		l.rows = 4 * span
	}
	return l
}

func filterOf(t *rapid.T) Filter {
	return Filter{
		Qube:    rapid.SampledFrom([]string{"", "work"}).Draw(t, "qube"),
		Kind:    rapid.SampledFrom([]Kind{"", "", Done, Failed, Denied, Ended, Decision, Every}).Draw(t, "kind"),
		Since:   rapid.SampledFrom([]time.Time{{}, {}, begin.Add(700 * time.Second)}).Draw(t, "since"),
		Text:    rapid.SampledFrom([]string{"", "", "ECHO", "echo 1", "bad-mac"}).Draw(t, "text"),
		Pattern: rapid.SampledFrom([]*regexp.Regexp{nil, nil, regexp.MustCompile(`(?i)echo \d*[37]$|e.p`)}).Draw(t, "pattern"),
	}
}

func historyOf(t *rapid.T) *log {
	l := newLog(nil)
	pattern := rapid.SliceOfN(rapid.IntRange(0, 1000), 1, 40).Draw(t, "pattern of history")
	for i := range rapid.IntRange(0, 1200).Draw(t, "length of history") {
		l.happening(pattern[i%len(pattern)] + i/len(pattern)*7)
	}
	slow := rapid.IntRange(1, 400).Draw(t, "slowness")
	l.short = func() int { slow = slow*31%397 + 3; return slow }
	return l
}

// machine is a model with a log that grows, news that come late, and answers
// that come in any order or never.
type machine struct {
	log     *log
	model   *Model
	list    *list
	filter  Filter
	news    []dbus.News
	wants   []Want
	answers []Answer
}

func (x *machine) begin(t *rapid.T) {
	x.news, x.wants, x.answers = nil, nil, nil
	x.model = newModel(x.filter, uint64(len(x.log.records)), small(x.filter))
	x.list = newList(t, x.model)
}

func (x *machine) deliver(t *rapid.T, n int) {
	news := x.news[:n]
	x.news = x.news[n:]
	if n > 0 && rapid.IntRange(0, 4).Draw(t, "missed") == 0 {
		news = []dbus.News{{Kind: dbus.Missed, From: news[0].From, To: news[n-1].To}}
	}
	changes, again := x.model.Add(news)
	if again {
		x.begin(t)
		return
	}
	x.list.apply(changes)
}

func (x *machine) actions() map[string]func(*rapid.T) {
	pick := func(t *rapid.T, n int) int {
		if n == 0 {
			t.Skip()
		}
		return rapid.IntRange(0, n-1).Draw(t, "which")
	}
	return map[string]func(*rapid.T){
		"grow": func(t *rapid.T) {
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 1000), 1, 12).Draw(t, "growth") {
				x.news = append(x.news, x.log.happening(n)...)
			}
		},
		"deliver": func(t *rapid.T) { x.deliver(t, 1+pick(t, len(x.news))) },
		"want": func(t *rapid.T) {
			first := rapid.IntRange(0, x.model.Len()).Draw(t, "first")
			if w, ok := x.model.Next(first, first+rapid.IntRange(0, 200).Draw(t, "window")); ok {
				x.wants = append(x.wants, w)
			}
		},
		"fetch": func(t *rapid.T) {
			i := pick(t, len(x.wants))
			x.answers = append(x.answers, x.wants[i].Fetch(context.Background(), x.log))
			x.wants = slices.Delete(x.wants, i, i+1)
		},
		"take": func(t *rapid.T) {
			i := pick(t, len(x.answers))
			x.list.apply(x.model.Take(x.answers[i]))
			x.answers = slices.Delete(x.answers, i, i+1)
		},
		"look": func(t *rapid.T) {
			first := rapid.IntRange(0, x.model.Len()).Draw(t, "first")
			x.list.settle(x.log, first, first+rapid.IntRange(0, 200).Draw(t, "window"))
		},
	}
}

func check(t *testing.T, filter func(*rapid.T) Filter) {
	rapid.Check(t, func(t *rapid.T) {
		x := &machine{log: historyOf(t), filter: filter(t)}
		x.begin(t)
		t.Repeat(x.actions())
		x.deliver(t, len(x.news))
		if got, want := x.list.all(x.log), x.log.rows(x.filter); !slices.Equal(got, want) {
			t.Fatalf("%+v shows %d rows:\n%s\nwant %d:\n%s", x.filter, len(got), strings.Join(got, "\n"), len(want), strings.Join(want, "\n"))
		}
	})
}

// TestWindow: whatever is fetched, forgotten and told in whatever order, the
// rows of the whole log are those of a list without a window.
func TestWindow(t *testing.T) {
	check(t, func(t *rapid.T) Filter { return Filter{Kind: rapid.SampledFrom([]Kind{"", "", Every}).Draw(t, "kind")} })
}

// TestSearch: a filter shows what fits and nothing else, each request once, and
// what comes later as well.
func TestSearch(t *testing.T) { check(t, filterOf) }

func requestsLog(n int) *log {
	l := newLog(func() int { return 1000 })
	zero := 0
	for i := range n {
		number := uint64(i + 1)
		l.add(dbus.Record{Event: "claim", Qube: "work", Number: number})
		l.add(dbus.Record{Event: "run", Qube: "work", Number: number, Command: fmt.Sprintf("step %d", i)})
		l.add(dbus.Record{Event: "final", Qube: "work", Number: number, State: "exit", Exit: &zero, StartedAt: 1})
		l.add(dbus.Record{Event: "delivered", Qube: "work", Number: number})
	}
	return l
}

func searchAll(t *testing.T, m *Model, l *log) {
	t.Helper()
	for m.Searching() {
		w, ok := m.Next(m.Len(), m.Len())
		if !ok {
			t.Fatal("a search stopped before the end")
		}
		if a := w.Fetch(context.Background(), l); a.Err != nil {
			t.Fatal(a.Err)
		} else {
			m.Take(a)
		}
	}
}

// TestPatternAsksInPages: to try a pattern on each command takes no call each.
func TestPatternAsksInPages(t *testing.T) {
	l := requestsLog(2000)
	p, err := Compile(`STEP (7|123)$`)
	if err != nil {
		t.Fatal(err)
	}
	m := New(Filter{Pattern: p}, uint64(len(l.records)))
	searchAll(t, m, l)
	var found []string
	for i := range m.Len() {
		r, _ := m.Row(i)
		found = append(found, r.Command+" "+r.State)
	}
	if want := []string{"step 123 exit", "step 7 exit"}; !slices.Equal(found, want) {
		t.Errorf("found %q, want %q", found, want)
	}
	if most := 3 * len(l.records) / batch; l.calls > most {
		t.Errorf("%d calls for %d records, want %d at most", l.calls, len(l.records), most)
	}
}

// TestSearchGoesNoFurtherThanAsked: what nobody scrolls to is not fetched.
func TestSearchGoesNoFurtherThanAsked(t *testing.T) {
	l := requestsLog(2000)
	m := New(Filter{Qube: "work"}, uint64(len(l.records)))
	for w, ok := m.Next(0, 20); ok; w, ok = m.Next(0, 20) {
		m.Take(w.Fetch(context.Background(), l))
	}
	if m.Len() < page || m.Len() > 3*page || m.Reached() > 0.5 {
		t.Errorf("%d rows were found for 20, in %.2f of the log", m.Len(), m.Reached())
	}
}

// TestStartOfOldCommand: a command is shown however long ago it began, and
// however often the service has to be asked for that.
func TestStartOfOldCommand(t *testing.T) {
	l := newLog(func() int { return 10 })
	l.add(dbus.Record{Event: "claim", Qube: "work", Number: 1})
	l.add(dbus.Record{Event: "run", Qube: "work", Number: 1, Command: "sleep infinity"})
	for range 2000 {
		l.add(dbus.Record{Event: "refused", Qube: "dev"})
	}
	l.add(dbus.Record{Event: "final", Qube: "work", Number: 1, State: "interrupted"})
	for _, f := range []Filter{{}, {Qube: "work"}, {Kind: Failed, Text: "infinity"}} {
		m := New(f, uint64(len(l.records)))
		for w, ok := m.Next(0, 0); ok; w, ok = m.Next(0, 0) {
			m.Take(w.Fetch(context.Background(), l))
		}
		if r, ok := m.Row(0); !ok || r.State != "interrupted" || r.Command != "sleep infinity" {
			t.Errorf("%+v: the first row is %+v", f, r)
		}
	}
}

// TestMillion: the rows of a long log are found without holding them, and news
// of a million are one change.
func TestMillion(t *testing.T) {
	const records = 1_000_000
	m := New(Filter{}, records)
	if n := m.Len(); n < records/5 || n > records/3 {
		t.Errorf("a million records are taken for %d rows", n)
	}
	w, ok := m.Next(m.Len()-1, m.Len()-1)
	if !ok || w.low != 0 || w.high != span {
		t.Errorf("the oldest row is looked for in records %d to %d", w.low, w.high)
	}
	news := make([]dbus.News, records)
	for i := range news {
		seq := uint64(records + i)
		news[i] = dbus.News{Kind: dbus.Added, From: seq, To: seq + 1, Notice: dbus.Notice{Seq: seq, Event: "refused"}}
	}
	before := m.Len()
	changes, again := m.Add(news)
	if again || len(changes) != 1 || changes[0].At != 0 || m.Len() != before+changes[0].Added || m.Held() > usual.rows {
		t.Errorf("changes %v, again %v, %d rows of which %d are held", changes, again, m.Len(), m.Held())
	}
	search := New(Filter{Qube: "work"}, records)
	if _, again := search.Add(news); !again {
		t.Error("a search would look at a million new records before it shows one")
	}
}

// TestNewsAreFewChanges: what comes in one look at the news is one change on
// top, and one for each row that goes.
func TestNewsAreFewChanges(t *testing.T) {
	l := newLog(func() int { return 1000 })
	m := New(Filter{}, 0)
	news := l.happening(6)
	if changes, _ := m.Add(news); !slices.Equal(changes, []Splice{{0, 0, 1}}) {
		t.Fatalf("a request begins: %v", changes)
	}
	if r, ok := m.Row(0); !ok || r.Event != "run" {
		t.Fatalf("it runs, and is shown as %+v (%v)", r, ok)
	}
	news = nil
	for _, n := range []int{8, 8, 6, 8, 2, 2, 8} {
		news = append(news, l.happening(n)...)
	}
	changes, _ := m.Add(news)
	if want := []Splice{{0, 1, 0}, {0, 0, 6}}; !slices.Equal(changes, want) {
		t.Errorf("the request ends, another comes and ends, and four are refused: %v, want %v", changes, want)
	}
}

// TestAnotherLog: a log that is shorter than it was is begun anew.
func TestAnotherLog(t *testing.T) {
	for _, f := range []Filter{{}, {Qube: "work"}} {
		if _, again := New(f, 10).Add([]dbus.News{{Kind: dbus.Rewritten, From: 3}}); !again {
			t.Errorf("%+v goes on with the rows of another log", f)
		}
	}
}

type broken struct{ next uint64 }

func (b broken) QueryAudit(_ context.Context, _ dbus.Filter, _ uint64, _ uint32) ([]dbus.Record, uint64, error) {
	if b.next == 0 {
		return nil, 0, errors.New("it is raining")
	}
	return nil, b.next, nil
}

// TestErrors: what cannot be fetched is an error, changes nothing, and is still
// wanted; a service that does not get on is one.
func TestErrors(t *testing.T) {
	for _, from := range []broken{{}, {next: 500}, {next: 5000}} {
		for _, f := range []Filter{{}, {Qube: "work"}} {
			m := New(f, 500)
			w, _ := m.Next(m.Len(), m.Len())
			a := w.Fetch(context.Background(), from)
			if a.Err == nil {
				t.Errorf("%+v from %+v: no error", f, from)
			}
			if changes := m.Take(a); changes != nil {
				t.Errorf("an error changes %v", changes)
			}
			if _, ok := m.Next(m.Len(), m.Len()); !ok {
				t.Error("what could not be fetched is not wanted any more")
			}
		}
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("a.*b", "xAyB")
	f.Add("(", "")
	f.Add("^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab")
	f.Fuzz(func(t *testing.T, pattern, command string) {
		p, err := Compile(pattern)
		if err != nil {
			return
		}
		r := dbus.Record{Event: "final", Command: command}
		if got, want := (Filter{Pattern: p}).fits(r), p.MatchString(command) || p.MatchString(""); got != want {
			t.Errorf("%q fits %q: %v", command, pattern, got)
		}
	})
}
