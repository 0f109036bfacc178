package audit

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const day = 24 * time.Hour

func prune(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Prune(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func segments(t *testing.T, dir string) []segment {
	t.Helper()
	segs, err := listSegments(dir)
	if err != nil {
		t.Fatal(err)
	}
	return segs
}

func TestOldSegmentsGoAndTheRestStillVerifies(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := logDir(t)
	o := Options{Now: clock.now}
	l, _ := openLog(t, dir, o)
	add(t, l, claim("open"))
	gone := deliver(t, l, "a")
	clock.add(300 * day)
	kept := deliver(t, l, "b")
	prune(t, l)
	if n := len(segments(t, dir)); n != 2 {
		t.Fatalf("%d segments before anything is old", n)
	}
	clock.add(150 * day)
	fill(t, l, 2)
	prune(t, l)
	if n := len(segments(t, dir)); n != 2 {
		t.Fatalf("%d segments are left", n)
	}
	r := mustVerify(t, dir, kept)
	if r.First != 5 || r.Proven != 8 {
		t.Errorf("first %d, proven %d", r.First, r.Proven)
	}
	if r := verify(t, dir, gone); r.OK() || !strings.Contains(r.String(), "pruned") {
		t.Errorf("a checkpoint whose record was pruned:\n%v", r)
	}
	all := records(t, dir)
	last := all[len(all)-1]
	if last.Event != Pruned || last.Oldest != 5 || last.Count != 5 || !strings.Contains(last.Detail, "2026-11-23-000000000000.jsonl") {
		t.Errorf("last record = %+v", last)
	}
	mustClose(t, l)

	l, q := openLog(t, dir, o)
	if f := l.Findings(); len(f) != 0 {
		t.Errorf("findings = %v", f)
	}
	if q.Claims["open"] != 1 || q.Floors["work"] != 1005 || q.Total != 5 {
		t.Errorf("state after pruning = %+v", q)
	}
	mustVerify(t, dir, kept)
}

func TestPruningBySizeSparesTheYoung(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := logDir(t)
	l, q := openLog(t, dir, Options{Now: clock.now, MaxBytes: 3000, SegmentBytes: 1000})
	fill(t, l, 20)
	before := len(segments(t, dir))
	prune(t, l)
	if n := len(segments(t, dir)); n < before {
		t.Errorf("%d of %d young segments are left", n, before)
	}
	if got := kinds(l); !slices.Contains(got, Young) {
		t.Errorf("findings = %v", got)
	}
	clock.add(40 * day)
	fill(t, l, 1)
	prune(t, l)
	var total int64
	for _, s := range segments(t, dir) {
		st, err := os.Stat(s.path)
		if err != nil {
			t.Fatal(err)
		}
		total += st.Size()
	}
	if total > 4000 || len(q.pruned) != 1 {
		t.Errorf("%d bytes are left, fold asked %v", total, q.pruned)
	}
	if slices.Contains(kinds(l), Young) {
		t.Error("the finding stays after its cause is gone")
	}
	mustVerify(t, dir)
}

func TestTheSegmentInUseIsNeverPruned(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := logDir(t)
	l, q := openLog(t, dir, Options{Now: clock.now, MaxBytes: 1})
	fill(t, l, 2)
	clock.add(1000 * day)
	prune(t, l)
	segs := segments(t, dir)
	if len(segs) != 1 || segs[0] != l.cur || len(q.pruned) != 1 {
		t.Errorf("segments %v, fold asked %v", segs, q.pruned)
	}
	prune(t, l)
	if len(q.pruned) != 1 {
		t.Error("nothing was to be pruned, and the fold was asked")
	}
	mustVerify(t, dir)
}

// Only the segments from the oldest claim on are read again.
func TestAStartReadsFromTheOldestOpenClaim(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := logDir(t)
	o := Options{Now: clock.now}
	l, _ := openLog(t, dir, o)
	fill(t, l, 3)
	clock.add(day)
	add(t, l, claim("open"))
	clock.add(day)
	fill(t, l, 3)
	clock.add(day)
	fill(t, l, 3)
	mustClose(t, l)
	l, q := openLog(t, dir, o)
	if want := l.n; q.applied[0] != 8 || q.applied[len(q.applied)-1] != want-1 || q.Total != 10 {
		t.Errorf("applied %v, total %d", q.applied, q.Total)
	}
	add(t, l, final("open"))
	clock.add(day)
	fill(t, l, 1)
	mustClose(t, l)
	_, q = openLog(t, dir, o)
	if len(q.applied) != 2 || q.Total != 11 {
		t.Errorf("applied %v, total %d, though nothing is open", q.applied, q.Total)
	}
}

// A carry that cannot be read sends the start back to the one before it.
func TestDamagedCarryIsPassedOver(t *testing.T) {
	t.Parallel()
	clock := newClock()
	dir := logDir(t)
	o := Options{Now: clock.now}
	l, _ := openLog(t, dir, o)
	fill(t, l, 3)
	clock.add(day)
	add(t, l, claim("open"))
	mustClose(t, l)
	edit(t, newest(t, dir), func(b []byte) []byte { b[3] = '\x00'; return b })
	l, q := openLog(t, dir, o)
	if q.Total != 4 || len(q.Claims) != 1 {
		t.Errorf("state = %+v", q)
	}
	if !slices.Contains(kinds(l), Damaged) {
		t.Errorf("findings = %v", l.Findings())
	}
}
