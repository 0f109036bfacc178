package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"
)

// ErrNoRecord is wrapped by what [Get] returns for a number without a record.
var ErrNoRecord = errors.New("no such audit record")

// Back calls fn with the records below seq before, the newest first, and with
// each one's line (valid during the call); before <= 0, or past the end, stands
// for the end: the newest record that the signed head covers. It needs no lock,
// writes nothing and holds no more than blocks of the log. Records pruned
// meanwhile are where it ends. An error of fn ends it and is returned, io.EOF
// as nil.
//
// It shows what [Read] shows, in the other order. Only where damage put numbers
// out of order do they differ: a number above one that follows is unreadable
// here, while Read believes the first.
func Back(ctx context.Context, dir string, before int64, fn func(r Record, line []byte) error) error {
	w := walk{dir: dir, before: before, fn: func(e *entry) error { return fn(e.rec, e.line) }}
	return w.run(ctx)
}

// Get returns the record with the number seq and a copy of its line. The error
// wraps ErrNoRecord, and says why, where there is none.
func Get(ctx context.Context, dir string, seq int64) (Record, []byte, error) {
	if seq < 0 || seq == math.MaxInt64 {
		return Record{}, nil, fmt.Errorf("%w: %d is not the number of a record", ErrNoRecord, seq)
	}
	found, line := Record{Seq: -1}, []byte(nil)
	err := Back(ctx, dir, seq+1, func(r Record, l []byte) error {
		found, line = r, append(line, l...)
		return io.EOF
	})
	switch {
	case err != nil:
		return Record{}, nil, err
	case found.Seq == seq && found.Event == Unreadable:
		return Record{}, nil, fmt.Errorf("%w: %d is damaged; audit verify says more", ErrNoRecord, seq)
	case found.Seq == seq:
		return found, line, nil
	}
	return Record{}, nil, whyMissing(dir, seq)
}

// whyMissing says why no record has the number seq.
func whyMissing(dir string, seq int64) error {
	end, err := endOf(dir)
	if err != nil {
		return err
	}
	if seq >= end {
		return fmt.Errorf("%w: %d is not written yet; there are %d records", ErrNoRecord, seq, end)
	}
	segs, err := listSegments(dir)
	if err != nil {
		return fmt.Errorf("cannot list the audit log: %w", err)
	}
	if len(segs) > 0 && seq < segs[0].first {
		return fmt.Errorf("%w: %d was removed after its time; the oldest one left is %d", ErrNoRecord, seq, segs[0].first)
	}
	return fmt.Errorf("%w: %d is missing from the log; audit verify says more", ErrNoRecord, seq)
}

// walk goes through the records of a log, the newest first.
type walk struct {
	dir    string
	before int64
	since  time.Time              // segments that cannot hold what is younger are left out; zero: none is
	until  time.Time              // the same with what is older
	want   func(line []byte) bool // where set, other lines may come as skipped
	fn     func(*entry) error
}

// errPruned says that segments went while they were looked for.
var errPruned = errors.New("the oldest audit records were just removed; try again")

// run tries a few times when what it was to begin with went meanwhile.
func (w *walk) run(ctx context.Context) error {
	const tries = 5
	for i := 1; ; i++ {
		limit := limitOf(w.dir)
		begun, err := w.once(ctx, limit)
		moved := err == errPruned || err == nil && limitOf(w.dir) != limit
		if begun || !moved || i == tries {
			return err
		}
	}
}

// once shows what is below limit; begun says that a segment was opened.
func (w *walk) once(ctx context.Context, limit int64) (begun bool, err error) {
	bound := limit
	if w.before > 0 {
		bound = min(bound, w.before)
	}
	segs, err := listSegments(w.dir)
	if err != nil {
		return false, fmt.Errorf("cannot list the audit log: %w", err)
	}
	for i := len(segs) - 1; i >= 0; i-- {
		if segs[i].first >= bound {
			continue
		}
		next := segment{first: math.MaxInt64}
		if i+1 < len(segs) {
			next = segs[i+1]
		}
		if endedBefore(next, w.since) {
			return begun, nil
		}
		f, err := openRegular(segs[i].path, os.O_RDONLY, 0)
		if missing(err) {
			return begun, w.gone(segs[i], begun, bound)
		}
		if err != nil {
			return begun, fmt.Errorf("cannot read the audit log: %w", err)
		}
		begun = true
		err = w.segment(ctx, f, segs[i], next.first, bound)
		_ = f.Close()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
	}
	return begun, nil
}

// gone decides what it means that the segment s is not there any more: segments
// are removed oldest first, so the log begins after it now. Where none was
// looked into yet, others that were not listed may have what is left.
func (w *walk) gone(s segment, begun bool, bound int64) error {
	segs, err := listSegments(w.dir)
	if err != nil {
		return fmt.Errorf("cannot list the audit log: %w", err)
	}
	if len(segs) > 0 && segs[0].first > s.first && (begun || segs[0].first >= bound) {
		return nil
	}
	return errPruned
}

// segment shows what one segment, whose numbers are below end, has below bound.
// An error of fn is returned as it is.
func (w *walk) segment(ctx context.Context, f *os.File, s segment, end, bound int64) error {
	if !w.until.IsZero() && beganAfter(f, s, w.until) {
		return ctx.Err()
	}
	st, err := f.Stat()
	if err != nil {
		return fmt.Errorf("cannot read the audit log: %w", err)
	}
	at, err := place(f, st.Size(), bound)
	if err != nil {
		return fmt.Errorf("cannot read the audit log: %w", err)
	}
	b := newBackScan(f, s, at, end)
	b.want = w.want
	var e entry
	for count := 0; ; count++ {
		if count%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		err := b.step(&e)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the audit log: %s: %w", s.path, err)
		}
		if e.rec.Seq >= bound {
			continue
		}
		if err := w.fn(&e); err != nil {
			return err
		}
	}
}

// slack is allowed for between the times in a log and the dates of its
// segments: a batch that was decided on before midnight is written after it.
const slack = 24 * time.Hour

// endedBefore says that the segment before next, and all older ones, hold
// nothing as young as since. A record is never younger than the day in the
// name of the segment that follows its own.
func endedBefore(next segment, since time.Time) bool {
	day, err := time.Parse(time.DateOnly, next.date)
	return err == nil && !since.IsZero() && day.Add(24*time.Hour+slack).Before(since)
}

// beganAfter says that both the first and the last record of s are younger than
// until. The clock may jump: that nothing between them is older is assumed.
func beganAfter(f io.ReaderAt, s segment, until time.Time) bool {
	buf := make([]byte, 256)
	n, _ := f.ReadAt(buf, 0)
	first, ok := leadingTime(buf[:n])
	if !ok || first.Add(-slack).Before(until) {
		return false
	}
	last, err := lastRecord(s)
	return err == nil && !last.Time.Add(-slack).Before(until)
}
