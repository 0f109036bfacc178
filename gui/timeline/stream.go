package timeline

import (
	"context"
	"maps"
	"slices"
	"strings"

	"qvmremote/dbus"
	"qvmremote/gui/words"
)

// row is a row that was found, or may be one.
type row struct {
	dbus.Record
	start uint64 // record that holds its command
	open  bool   // a request's start, whose end was not met
	waits bool   // its other half may still come
	fits  bool   // it was decided that it does
}

func (r *row) end() end { return end{r.Seq, r.Number} }

func (r *row) ref() ref {
	f := ref{seq: r.Seq, start: r.start, bad: r.Event == dbus.UnreadableEvent}
	if r.open {
		f.open = r.Number
	}
	return f
}

// stream makes rows of the records of a part of the log, which it takes newest
// first: what a request's records say together stands where its end is.
type stream struct {
	filter Filter
	rows   []*row
	met    map[uint64]bool // of these requests the end was met, here or before, and not the start
	halves map[uint64]*row // rows of those that were met here
	ended  []end
}

func newStream(f Filter, met map[uint64]bool) *stream {
	s := &stream{filter: f, met: maps.Clone(met), halves: map[uint64]*row{}}
	if s.met == nil {
		s.met = map[uint64]bool{}
	}
	return s
}

func (s *stream) take(r dbus.Record) {
	switch {
	case s.filter.Kind == Every:
		s.rows = append(s.rows, &row{Record: r})
	case r.Number != 0 && r.Event == "final":
		s.ends(r)
	case r.Number != 0 && r.Event == "run":
		s.begins(r)
	case r.Number != 0 && r.Event == "claim":
		s.complete(r.Number)
	case words.Row(r.Event):
		s.rows = append(s.rows, &row{Record: r})
	}
}

func (s *stream) ends(r dbus.Record) {
	if s.filter.starts() {
		s.met[r.Number] = true
	}
	end := &row{Record: r, waits: true}
	s.ended = append(s.ended, end.end())
	if s.filter.kindFits(r) {
		s.rows = append(s.rows, end)
		s.halves[r.Number] = end
	}
}

func (s *stream) begins(r dbus.Record) {
	if !s.met[r.Number] {
		s.rows = append(s.rows, &row{Record: r, open: true, waits: true})
		return
	}
	if end := s.halves[r.Number]; end != nil {
		end.Command, end.start = r.Command, r.Seq
	}
	s.complete(r.Number)
}

// complete says that nothing comes any more that is said of a request.
func (s *stream) complete(number uint64) {
	if end := s.halves[number]; end != nil {
		end.waits = false
	}
	delete(s.met, number)
	delete(s.halves, number)
}

// sift drops what is known not to fit, and tells how much may be left.
func (s *stream) sift() int {
	s.rows = slices.DeleteFunc(s.rows, func(r *row) bool {
		if !r.waits && !r.fits {
			if !s.filter.fits(r.Record) {
				return true
			}
			r.Record, r.fits = lean(r.Record), true
		}
		return false
	})
	return len(s.rows)
}

// finish looks up the starts and ends that lie elsewhere, so that each row says
// all there is to say of it, and drops what is no row of w.
func (s *stream) finish(ctx context.Context, l lookup, w Want) error {
	if err := s.findEnds(ctx, l, w); err != nil {
		return err
	}
	for _, end := range s.halves {
		start, ok, err := l.start(ctx, end.Record)
		if err != nil {
			return err
		}
		if ok {
			end.Command, end.start = start.Command, start.Seq
		}
	}
	for _, r := range s.rows {
		r.waits = false
	}
	s.sift()
	slices.SortStableFunc(s.rows, descending)
	return nil
}

// findEnds makes the ends of starts whose end was not met. The row of a request
// is where its end is: one that is in another block, or came after a search
// began, is found there.
func (s *stream) findEnds(ctx context.Context, l lookup, w Want) error {
	elsewhere := w.begun
	if w.block != nil {
		elsewhere = w.high
	}
	if w.high == w.head && (w.newest || w.block != nil) {
		return nil // all there is was met
	}
	kept := s.rows[:0]
	for _, r := range s.rows {
		if r.open && s.filter.Kind != Every {
			end, ok, err := l.end(ctx, r.Record, w.head)
			if err != nil {
				return err
			}
			if ok && end.Seq >= elsewhere {
				continue
			}
			if ok {
				end.Command = r.Command
				r.Record, r.start, r.open = end, r.Seq, false
			}
		}
		kept = append(kept, r)
	}
	s.rows = kept
	return nil
}

// lookup finds the other records of a request, by its number.
type lookup struct{ from Source }

// firstWidth is how far behind its start the end of a request is looked for
// first, in records; then eight times as far, and so on.
const firstWidth = 64

// end is the end of the request that begins with start, among the records below
// a number.
func (l lookup) end(ctx context.Context, start dbus.Record, below uint64) (dbus.Record, bool, error) {
	// The start is found at the latest, so that no more is looked at than lies
	// behind it.
	q := dbus.Filter{Number: start.Number, Events: []string{"final", "run"}}
	for width := uint64(firstWidth); ; width *= 8 {
		high := min(start.Seq+width, below)
		r, ok, err := l.newest(ctx, q, high, start.Seq)
		if err != nil || ok && r.Event == "final" {
			return r, err == nil, err
		}
		if high == below {
			return dbus.Record{}, false, nil
		}
	}
}

// start is the start of a request that ended, if there was one.
func (l lookup) start(ctx context.Context, end dbus.Record) (dbus.Record, bool, error) {
	q := dbus.Filter{Number: end.Number, Events: []string{"run", "claim"}} // nothing is before the claim
	r, ok, err := l.newest(ctx, q, end.Seq, 0)
	return r, ok && r.Event == "run", err
}

// record is one record by its number.
func (l lookup) record(ctx context.Context, seq uint64, bad bool) (dbus.Record, bool, error) {
	records, _, err := ask(ctx, l.from, dbus.Filter{}, seq+1, 1)
	for _, r := range records {
		if r.Seq == seq && (r.Event == dbus.UnreadableEvent) == bad {
			return r, true, err
		}
	}
	return dbus.Record{}, false, err
}

// newest is the newest record that q wants from low up to, not including, high.
func (l lookup) newest(ctx context.Context, q dbus.Filter, high, low uint64) (dbus.Record, bool, error) {
	for before := high; before > low; {
		records, next, err := ask(ctx, l.from, q, before, 1)
		if err != nil {
			return dbus.Record{}, false, err
		}
		if len(records) > 0 {
			return records[0], records[0].Seq >= low, nil
		}
		before = next
	}
	return dbus.Record{}, false, nil
}

// maxCommand bounds what is held of a command, in bytes: a row shows one line.
const maxCommand = 2048

// lean is a record without what a row does not show.
func lean(r dbus.Record) dbus.Record {
	r.Line, r.OutHead, r.OutTail, r.ErrHead, r.ErrTail = "", "", "", "", ""
	if len(r.Command) > maxCommand {
		r.Command = strings.Clone(strings.ToValidUTF8(r.Command[:maxCommand], ""))
	}
	return r
}
