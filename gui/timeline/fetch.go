package timeline

import (
	"cmp"
	"context"
	"errors"

	"qvmremote/dbus"
	"qvmremote/ui/i18n"
)

// Source is where records come from: [dbus.Client]. A page may be short or
// empty although more follow.
type Source interface {
	QueryAudit(ctx context.Context, f dbus.Filter, before uint64, limit uint32) ([]dbus.Record, uint64, error)
}

// Want is something to fetch, of the log as it was when it had head records:
// all rows of a block, or more of a search.
type Want struct {
	filter    Filter
	head      uint64
	low, high uint64 // records from low up to, not including, high
	block     *block // nil: more of a search
	refs      []ref  // of a block of a search: its rows
	newest    bool   // of a search: what came since

	begun uint64          // see Model
	met   map[uint64]bool // see Model
}

// Answer is what was fetched for a Want.
type Answer struct {
	want    Want
	rows    []*row // newest first
	gone    []ref  // of want.refs: the log has them no more
	ended   []end  // requests whose end is among what came
	reached uint64 // all records from here on were looked at; 0: all
	met     map[uint64]bool
	Err     error
}

const (
	// batch is how many records are asked for at once.
	batch = 250
	// maxCalls bounds how long one search goes on before it shows how far it is.
	maxCalls = 20
)

// errBackward is a service that sends a reader in circles.
var errBackward = errors.New(i18n.T("the service does not go on through the audit log"))

// ask is QueryAudit of a service that gets on.
func ask(ctx context.Context, from Source, q dbus.Filter, before uint64, limit uint32) ([]dbus.Record, uint64, error) {
	records, next, err := from.QueryAudit(ctx, q, before, limit)
	if err == nil && next >= before {
		err = errBackward
	}
	return records, next, err
}

// Fetch gets what is wanted. It waits, for as long as the context lets it.
func (w Want) Fetch(ctx context.Context, from Source) Answer {
	a := Answer{want: w}
	switch {
	case w.block != nil && !w.filter.whole():
		a.Err = a.again(ctx, lookup{from})
	case w.block != nil:
		a.Err = a.search(ctx, from, dbus.Filter{})
	case w.newest:
		a.Err = a.search(ctx, from, w.filter.recent())
	default:
		a.Err = a.search(ctx, from, w.filter.back())
	}
	return a
}

// search makes rows of the records that q wants. On its way back through the
// log it ends early, once it has a page or it is time to show how far it is.
func (a *Answer) search(ctx context.Context, from Source, q dbus.Filter) error {
	w, s := a.want, newStream(a.want.filter, a.want.met)
	before := w.high
	for calls := 0; before > w.low; calls++ {
		back := w.block == nil && !w.newest
		if back && (calls == maxCalls || s.sift() >= page) {
			break
		}
		limit := uint32(batch)
		if w.block != nil {
			limit = min(limit, uint32(before-w.low))
		}
		records, next, err := ask(ctx, from, q, before, limit)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Seq >= w.low {
				s.take(r)
			}
		}
		before = next
	}
	if err := s.finish(ctx, lookup{from}, w); err != nil {
		return err
	}
	a.rows, a.ended, a.met, a.reached = s.rows, s.ended, s.met, max(before, w.low)
	return nil
}

// again fetches the rows of a search that were forgotten.
func (a *Answer) again(ctx context.Context, l lookup) error {
	for _, f := range a.want.refs {
		r, ok, err := l.record(ctx, f.seq, f.bad)
		if err != nil {
			return err
		}
		if !ok {
			a.gone = append(a.gone, f)
			continue
		}
		if f.start != 0 {
			start, _, err := l.record(ctx, f.start, false)
			if err != nil {
				return err
			}
			r.Command = start.Command
		}
		a.rows = append(a.rows, &row{Record: lean(r), start: f.start, open: f.open != 0})
	}
	return nil
}

// descending orders rows as they are shown.
func descending(a, b *row) int { return cmp.Compare(b.Seq, a.Seq) }
