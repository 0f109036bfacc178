package timeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"qvmremote/dbus"
)

// log is an audit log with what a service answers about it.
type log struct {
	records []dbus.Record
	number  uint64
	open    []uint64
	starts  map[uint64]int
	short   func() int // how many records a call looks at, at most
	calls   int
}

func newLog(short func() int) *log { return &log{starts: map[uint64]int{}, short: short} }

var begin = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func (l *log) add(r dbus.Record) dbus.News {
	r.Seq = uint64(len(l.records))
	r.Time = begin.Add(time.Duration(r.Seq) * time.Second)
	if r.Seq%50 == 49 {
		r.Time = r.Time.Add(-20 * time.Second) // dom0's clock is set back
	}
	l.records = append(l.records, r)
	n := dbus.Notice{Seq: r.Seq, Time: r.Time, Event: r.Event, Qube: r.Qube, Number: r.Number, State: r.State}
	return dbus.News{Kind: dbus.Added, From: r.Seq, To: r.Seq + 1, Notice: n}
}

// happening makes something happen, as a number says.
func (l *log) happening(n int) (news []dbus.News) {
	qube := []string{"work", "dev"}[n/8%2]
	switch n % 8 {
	case 0:
		return []dbus.News{l.add(dbus.Record{Event: "refused", Qube: qube, ID: "echo", Reason: "bad-mac"})}
	case 1:
		return []dbus.News{l.add(dbus.Record{Event: "started"}), l.add(dbus.Record{Event: "foretold", Qube: qube, Detail: "of a later version"})}
	case 2, 3, 4:
		if len(l.open) > 0 {
			i := n / 16 % len(l.open)
			number := l.open[i]
			l.open = slices.Delete(l.open, i, i+1)
			return l.end(number, n)
		}
	}
	l.number++
	news = append(news, l.add(dbus.Record{Event: "claim", Qube: qube, Number: l.number, Command: ""}))
	if n%8 == 5 {
		return append(news, l.add(dbus.Record{Event: "final", Qube: qube, Number: l.number, State: "denied", Reason: "empty"}))
	}
	l.open = append(l.open, l.number)
	l.starts[l.number] = len(l.records)
	return append(news, l.add(dbus.Record{Event: "run", Qube: qube, Number: l.number, Command: fmt.Sprintf("Echo %d", l.number)}))
}

func (l *log) end(number uint64, n int) []dbus.News {
	exit := n / 16 % 2
	r := dbus.Record{Event: "final", Qube: l.records[l.starts[number]].Qube, Number: number, State: "exit", Exit: &exit, StartedAt: 1}
	switch n / 32 % 6 {
	case 0:
		r.State, r.StartedAt = "interrupted", 0
	case 1:
		r.State, r.Detail = "cancelled", "cancelled in dom0; no echo"
	}
	return []dbus.News{l.add(r), l.add(dbus.Record{Event: "delivered", Qube: r.Qube, Number: number})}
}

// QueryAudit answers as the service does: with few records, or none, where it
// has looked for long enough.
func (l *log) QueryAudit(_ context.Context, f dbus.Filter, before uint64, limit uint32) ([]dbus.Record, uint64, error) {
	l.calls++
	end := uint64(len(l.records))
	if before != 0 {
		end = min(end, before)
	}
	looked := l.short()
	var found []dbus.Record
	for i := int(end) - 1; i >= 0; i-- {
		if uint32(len(found)) == limit || looked == 0 {
			return found, uint64(i) + 1, nil
		}
		looked--
		if r := l.records[i]; answers(f, r) {
			found = append(found, r)
		}
	}
	return found, 0, nil
}

func answers(f dbus.Filter, r dbus.Record) bool {
	return (f.Qube == "" || f.Qube == r.Qube) && (f.Number == 0 || f.Number == r.Number) &&
		(len(f.Events) == 0 || slices.Contains(f.Events, r.Event)) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) && !r.Time.Before(f.Since) && holds(f.Text, r)
}

func holds(text string, r dbus.Record) bool {
	all := strings.Join([]string{r.Command, r.Detail, r.Who, r.ID, r.Qube, r.Reason}, "\n")
	return strings.Contains(strings.ToLower(all), strings.ToLower(text))
}

// rows are what a list without a window would show.
func (l *log) rows(f Filter) (rows []string) {
	commands, ended := map[uint64]string{}, map[uint64]bool{}
	for _, r := range l.records {
		switch r.Event {
		case "run":
			commands[r.Number] = r.Command
		case "final":
			ended[r.Number] = true
		}
	}
	for _, r := range slices.Backward(l.records) {
		if f.Kind != Every {
			if r.Event == "claim" || r.Event == "delivered" || r.Event == "run" && ended[r.Number] {
				continue
			}
			r.Command = commands[r.Number]
		}
		if (f.Qube == "" || f.Qube == r.Qube) && !r.Time.Before(f.Since) && holds(f.Text, r) && isKind(f.Kind, r) &&
			(f.Pattern == nil || f.Pattern.MatchString(r.Command) || f.Pattern.MatchString(r.Reason)) {
			rows = append(rows, line(r))
		}
	}
	return rows
}

func isKind(k Kind, r dbus.Record) bool {
	switch zero := r.Exit != nil && *r.Exit == 0; k {
	case Done:
		return r.State == "exit" && zero
	case Failed:
		return r.State == "exit" && !zero || r.State == "interrupted"
	case Ended:
		return r.State == "cancelled"
	case Denied:
		return r.State == "denied" || r.Event == "refused"
	case Decision:
		return r.Event == "started"
	}
	return true
}

func line(r dbus.Record) string {
	return fmt.Sprintf("%d %s %d %s %s%s%s", r.Seq, r.Event, r.Number, r.State, r.Command, r.Detail, r.Reason)
}

// list is what a widget makes of the changes it is told: what it has shown in
// each row, "" for nothing.
type list struct {
	t     *rapid.T
	model *Model
	seqs  []string
}

func newList(t *rapid.T, m *Model) *list { return &list{t, m, make([]string, m.Len())} }

func (l *list) apply(changes []Splice) {
	for _, c := range changes {
		if c.At < 0 || c.Removed < 0 || c.Added < 0 || c.At+c.Removed > len(l.seqs) {
			l.t.Fatalf("%+v of %d rows", c, len(l.seqs))
		}
		l.seqs = slices.Replace(l.seqs, c.At, c.At+c.Removed, make([]string, c.Added)...)
	}
	if len(l.seqs) != l.model.Len() {
		l.t.Fatalf("the changes %v make %d rows, there are %d", changes, len(l.seqs), l.model.Len())
	}
	if held := l.model.Held(); held > l.model.limits.rows {
		l.t.Fatalf("%d rows are held", held)
	}
	l.look()
}

// look holds that rows which did not change are where they were.
func (l *list) look() {
	i := 0
	for _, b := range l.model.blocks {
		for j := range b.rows {
			if b.held != nil {
				now := fmt.Sprint(b.held[j].Seq, b.held[j].Event)
				if was := l.seqs[i]; was != "" && was != now {
					l.t.Fatalf("row %d was %s and is %s, which nobody told", i, was, now)
				}
				l.seqs[i] = now
			}
			i++
		}
	}
}

// settle fetches what rows need until nothing is missing.
func (l *list) settle(from *log, first, last int) {
	for calls := 0; ; calls++ {
		w, ok := l.model.Next(first, last)
		if !ok {
			return
		}
		a := w.Fetch(context.Background(), from)
		if a.Err != nil {
			l.t.Fatal(a.Err)
		}
		l.apply(l.model.Take(a))
		if calls > 10_000 {
			l.t.Fatal("there is always more to fetch")
		}
	}
}

// all are all rows, fetched a window at a time.
func (l *list) all(from *log) (rows []string) {
	for first := 0; first < l.model.Len() || l.model.Searching(); first += 50 {
		l.settle(from, first, first+50)
	}
	for i := 0; i < l.model.Len(); i++ {
		l.settle(from, i, i)
		r, ok := l.model.Row(i)
		if !ok {
			l.t.Fatalf("row %d is not there after it was fetched", i)
		}
		rows = append(rows, line(r))
	}
	return rows
}
