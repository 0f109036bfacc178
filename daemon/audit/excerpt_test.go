package audit

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// withExcerpt is a final record that says n bytes of its output.
func withExcerpt(id string, n int) Record {
	r := final(id)
	r.OutHead, r.OutTail, r.OutLeft = strings.Repeat("h", n/4), strings.Repeat("t", n/4), 12
	r.ErrHead, r.ErrTail, r.ErrLeft = strings.Repeat("h", n/4), strings.Repeat("t", n/4), 34
	r.Escaped = true
	return r
}

// TestExcerptsTakeNothingFromTheReserve: however much the commands printed, the
// disk is full and what ran gets its final record.
func TestExcerptsTakeNothingFromTheReserve(t *testing.T) {
	t.Parallel()
	const n = 200
	dir := smallDisk(t, 2<<20)
	l, q := openLog(t, dir, Options{Reserve: 256 << 10})
	for i := range n {
		add(t, l, claim(strconv.Itoa(i)))
	}
	for i := range n {
		_, err := l.UpdateFinal(context.Background(), func(tx *Tx) error { tx.Add(withExcerpt(strconv.Itoa(i), 48<<10)); return nil })
		if err != nil {
			t.Fatalf("final record %d: %v", i, err)
		}
	}
	if len(q.Claims) != 0 {
		t.Errorf("%d claims without an end", len(q.Claims))
	}
	kept := 0
	for _, r := range records(t, dir) {
		switch {
		case r.Event != Final:
		case r.hasExcerpt():
			kept++
		case r.Escaped || r.OutLeft != 0 || r.ErrLeft != 0:
			t.Errorf("something is left of an excerpt that is not there: %+v", r)
		}
	}
	if kept == 0 || kept == n {
		t.Errorf("%d of %d records have an excerpt; while there is room all should, then none", kept, n)
	}
	mustVerify(t, dir)
}

// TestWhatFitsWithoutItsExcerptLeavesTheReserveAlone: new requests can be taken
// as before.
func TestWhatFitsWithoutItsExcerptLeavesTheReserveAlone(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t, 1<<20)
	l, _ := openLog(t, dir, Options{Reserve: 256 << 10})
	for i := 0; ; i++ {
		_, err := l.UpdateFinal(context.Background(), func(tx *Tx) error { tx.Add(withExcerpt("a", 48<<10)); return nil })
		if err != nil || i == 100 {
			t.Fatalf("%d records on a small disk: %v", i, err)
		}
		if !slices.ContainsFunc(records(t, dir), func(r Record) bool { return r.Event == Final && !r.hasExcerpt() }) {
			continue
		}
		if err := l.ReserveReady(); err != nil {
			t.Errorf("the reserve was given up for a record that fits without its excerpt: %v", err)
		}
		return
	}
}

func TestAnExcerptIsTheFirstToGo(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	r := withExcerpt("a", 48<<10)
	r.Detail = strings.Repeat("x", 20<<10)
	add(t, l, r, withExcerpt("b", 48<<10))
	got := records(t, dir)
	slices.SortFunc(got, func(a, b Record) int { return strings.Compare(a.ID, b.ID) })
	a, b := got[len(got)-2], got[len(got)-1]
	if a.hasExcerpt() || len(a.Detail) != 20<<10 {
		t.Errorf("of a record that is too long: excerpt %v, %d bytes of the sentence", a.hasExcerpt(), len(a.Detail))
	}
	if b.OutHead != strings.Repeat("h", 12<<10) || b.OutLeft != 12 || b.ErrTail != strings.Repeat("t", 12<<10) || b.ErrLeft != 34 || !b.Escaped {
		t.Error("a record that fits lost some of its excerpt")
	}
}
