package audit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"
)

// Filter says which records are meant: those to which all that is set applies.
// The zero Filter means every record.
type Filter struct {
	Qube   string
	Events []Event // one of them
	States []State // one of them
	Reason string
	Number int64 // dom0's own number of a request; 0 is not set
	ID     string
	Since  time.Time // at or after it
	Until  time.Time // before it
	Text   string    // in command, detail, who, id, qube or reason; ASCII case does not matter
}

// maxPage is how many bytes of lines [Query] collects before it ends a page.
const maxPage = 8 << 20

// Query returns the lines of at most limit records that f means, the newest
// first, below seq before (as [Back] has it), and the before that goes on from
// there; 0 says that the beginning of the log was reached. It ends early, with
// what it has, when it searched for budget (0: however long it takes) or the
// lines grew to 8 MiB.
//
// The lines are exact copies. Unreadable ones that share a number come as one
// made-up record, whose Count is how many they are; where the last record of a
// page shares its number with them, they come on the same page, above limit.
// Since and Until go by the recorded times, and dom0's clock may jump: a
// segment whose first and last record are younger than Until by a day is taken
// to hold nothing older.
func Query(ctx context.Context, dir string, f Filter, before int64, limit int, budget time.Duration) (lines [][]byte, next int64, err error) {
	if limit < 1 {
		return nil, 0, fmt.Errorf("%d is not a number of audit records to ask for", limit)
	}
	m := newMatcher(f)
	q := query{limit: limit, last: math.MaxInt64, match: m.match}
	if budget > 0 {
		q.deadline = time.Now().Add(budget)
	}
	w := walk{dir: dir, before: before, since: f.Since, until: f.Until, want: m.want(), fn: q.take}
	if err := w.run(ctx); err != nil {
		return nil, 0, err
	}
	if err := q.flush(); err != nil {
		return nil, 0, err
	}
	if q.more {
		next = q.last
	}
	return q.lines, next, nil
}

// query collects one page.
type query struct {
	limit    int
	deadline time.Time // zero: none
	match    func(*Record) bool

	lines [][]byte
	size  int
	bad   Record // unreadable lines that are not in lines yet; Count 0: none
	last  int64  // number of the record looked at last
	steps int
	more  bool // the page ended before the log did
}

// take looks at one entry. A page ends between two numbers only, since the next
// one begins below a number.
func (q *query) take(e *entry) error {
	if e.rec.Seq < q.last && q.last != math.MaxInt64 && q.full() {
		q.more = true
		return io.EOF
	}
	q.last = e.rec.Seq
	if e.skipped || !q.match(&e.rec) {
		return nil
	}
	if e.bad != nil {
		if q.bad.Count > 0 && q.bad.Seq != e.rec.Seq {
			if err := q.flush(); err != nil {
				return err
			}
		}
		q.bad = Record{Seq: e.rec.Seq, Event: Unreadable, Count: q.bad.Count + 1}
		return nil
	}
	if err := q.flush(); err != nil {
		return err
	}
	q.add(shown(e.line))
	return nil
}

func (q *query) full() bool {
	held := len(q.lines)
	if q.bad.Count > 0 {
		held++
	}
	q.steps++
	return held >= q.limit || q.size >= maxPage ||
		q.steps%64 == 0 && !q.deadline.IsZero() && time.Now().After(q.deadline)
}

func (q *query) add(line []byte) {
	q.lines = append(q.lines, line)
	q.size += len(line)
}

// flush adds the record that stands for unreadable lines.
func (q *query) flush() error {
	if q.bad.Count == 0 {
		return nil
	}
	line, err := encodeLine(q.bad)
	q.bad = Record{}
	if err == nil {
		q.add(line)
	}
	return err
}

// shown copies a line. One that was written by a Log stays as it is; what
// damage put into it is made valid and printable.
func shown(line []byte) []byte {
	if !utf8.Valid(line) {
		line = bytes.ToValidUTF8(line, []byte("\ufffd"))
	}
	return bytes.Clone(escapeUnprintable(line))
}

// matcher decides for a Filter: on a line, whether it may hold a record that is
// meant, and on a record, whether it is.
type matcher struct {
	f     Filter
	text  *needle
	plain *needle    // what of text stands in the line as it is
	parts [][][]byte // of each, one must stand in the line
	all   bool       // lines cannot tell
}

func newMatcher(f Filter) *matcher {
	m := &matcher{f: f, text: newNeedle(f.Text), plain: newNeedle(spelled(f.Text))}
	if slices.Contains(f.Events, Unreadable) {
		m.all = true
		return m
	}
	addPart(m, f.Qube)
	addPart(m, f.Reason)
	addPart(m, f.ID)
	addPart(m, f.Events...)
	addPart(m, f.States...)
	if f.Number != 0 {
		addPart(m, strconv.FormatInt(f.Number, 10))
	}
	m.all = len(m.parts) == 0 && len(m.plain.text) == 0
	return m
}

// addPart adds that one of values must stand in the line.
func addPart[T ~string](m *matcher, values ...T) {
	var part [][]byte
	for _, v := range values {
		s := spelled(string(v))
		if s == "" {
			return
		}
		part = append(part, []byte(s))
	}
	if part != nil {
		m.parts = append(m.parts, part)
	}
}

// want is nil when lines cannot tell.
func (m *matcher) want() func([]byte) bool {
	if m.all {
		return nil
	}
	return func(line []byte) bool { return m.spelledIn(line) || escaped(line) }
}

func (m *matcher) spelledIn(line []byte) bool {
	for _, part := range m.parts {
		if !slices.ContainsFunc(part, func(v []byte) bool { return bytes.Contains(line, v) }) {
			return false
		}
	}
	return withinLine(m.plain, line)
}

func (m *matcher) match(r *Record) bool {
	f := &m.f
	return (f.Qube == "" || r.Qube == f.Qube) &&
		(f.Reason == "" || r.Reason == f.Reason) &&
		(f.ID == "" || r.ID == f.ID) &&
		(f.Number == 0 || r.Number == f.Number) &&
		(len(f.Events) == 0 || slices.Contains(f.Events, r.Event)) &&
		(len(f.States) == 0 || slices.Contains(f.States, r.State)) &&
		m.inTime(r.Time) && m.inText(r)
}

func (m *matcher) inTime(t time.Time) bool {
	if m.f.Since.IsZero() && m.f.Until.IsZero() {
		return true
	}
	return !t.IsZero() && !t.Before(m.f.Since) && (m.f.Until.IsZero() || t.Before(m.f.Until))
}

func (m *matcher) inText(r *Record) bool {
	if m.f.Text == "" {
		return true
	}
	for _, s := range []string{r.Command, r.Detail, r.Who, r.ID, r.Qube, r.Reason} {
		if within(m.text, s) {
			return true
		}
	}
	return false
}
