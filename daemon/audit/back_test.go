package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// shownAs is a record and its line as a test compares them.
type shownAs struct {
	Rec  Record
	Line string
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func back(t fataler, dir string, before int64) []shownAs {
	t.Helper()
	var out []shownAs
	err := Back(context.Background(), dir, before, func(r Record, line []byte) error {
		r.Carry = nil // the line has it
		out = append(out, shownAs{r, string(line)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// forth is what Back must show: what Read shows below before, turned round.
func forth(t fataler, dir string, before int64) []shownAs {
	t.Helper()
	var out []shownAs
	err := Read(context.Background(), dir, 0, func(r Record, line []byte) error {
		if before <= 0 || r.Seq < before {
			r.Carry = nil // the line has it
			out = append(out, shownAs{r, string(line)})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(out)
	return out
}

// damage is done to the text of a segment. None of it puts numbers out of
// order.
var damage = map[string]func(t *rapid.T, b []byte) []byte{
	"nothing":  func(_ *rapid.T, b []byte) []byte { return b },
	"torn":     func(_ *rapid.T, b []byte) []byte { return append(b, `{"seq":`...) },
	"no line":  func(_ *rapid.T, _ []byte) []byte { return nil },
	"one word": func(_ *rapid.T, _ []byte) []byte { return []byte("word") },
	"hole": func(t *rapid.T, b []byte) []byte {
		return onLine(t, b, func([]byte) []byte { return nil })
	},
	"noise": func(t *rapid.T, b []byte) []byte {
		n := rapid.IntRange(0, 300).Draw(t, "bytes")
		return onLine(t, b, func([]byte) []byte { return append(bytes.Repeat([]byte("\xff{"), n), '\n') })
	},
	"more lines": func(t *rapid.T, b []byte) []byte {
		return onLine(t, b, func(l []byte) []byte { return append(slices.Clone(l), "\nx\n\n"...) })
	},
	"half": func(t *rapid.T, b []byte) []byte {
		return onLine(t, b, func(l []byte) []byte { return append(slices.Clone(l[:len(l)/2]), '\n') })
	},
	"too long": func(t *rapid.T, b []byte) []byte {
		return onLine(t, b, func(l []byte) []byte {
			return append(bytes.TrimSuffix(slices.Clone(l), []byte("\n")), strings.Repeat(" ", maxLine)+"\n"...)
		})
	},
}

func onLine(t *rapid.T, b []byte, change func([]byte) []byte) []byte {
	lines := bytes.SplitAfter(b, []byte("\n"))
	i := rapid.IntRange(0, len(lines)-1).Draw(t, "line")
	lines[i] = change(lines[i])
	return bytes.Join(lines, nil)
}

// damagedLog writes a log of several segments and damages it.
func damagedLog(t *rapid.T, dir string) {
	l, err := Open(context.Background(), dir, Options{SegmentBytes: 900, Reserve: -1, hooks: noSync()}, newRequests())
	if err != nil {
		t.Fatal(err)
	}
	for i := range rapid.IntRange(0, 9).Draw(t, "requests") {
		_, err := l.Update(context.Background(), func(tx *Tx) error {
			request(tx, fmt.Sprint("id-", i), "head\n")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	segs, err := listSegments(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range rapid.IntRange(0, 3).Draw(t, "damages") {
		path := rapid.SampledFrom(segs).Draw(t, "segment").path
		kind := rapid.SampledFrom(sortedNames(damage)).Draw(t, "damage")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, damage[kind](t, text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if len(segs) > 1 && rapid.Bool().Draw(t, "segment gone") {
		_ = os.Remove(rapid.SampledFrom(segs).Draw(t, "gone").path)
	}
	if rapid.IntRange(0, 3).Draw(t, "head") == 0 {
		_ = os.Remove(filepath.Join(dir, headName))
	}
}

func sortedNames[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestBackIsReadTheOtherWayRound(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	rounds := 0
	rapid.Check(t, func(t *rapid.T) {
		rounds++
		dir := filepath.Join(parent, fmt.Sprint(rounds))
		damagedLog(t, dir)
		for _, before := range []int64{0, rapid.Int64Range(1, 70).Draw(t, "before"), 1 << 40} {
			if want, got := forth(t, dir, before), back(t, dir, before); !reflect.DeepEqual(want, got) {
				t.Fatalf("below %d: %s", before, cmp.Diff(want, got))
			}
		}
	})
}

// Numbers that damage put out of order are shown once each, falling, and the
// one that is above its successors is the unreadable one.
func TestBackWithANumberOutOfOrder(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte { return bytes.Replace(b, []byte(`{"seq":4,`), []byte(`{"seq":9,`), 1) })
	var got []int64
	for _, s := range back(t, dir, 8) {
		if (s.Rec.Event == Unreadable) != (s.Rec.Seq == 4) {
			t.Errorf("record %d is %s", s.Rec.Seq, s.Rec.Event)
		}
		got = append(got, s.Rec.Seq)
	}
	if diff := cmp.Diff([]int64{7, 6, 5, 4, 3, 2, 1, 0}, got); diff != "" {
		t.Error(diff)
	}
}

// Lines longer than a block, longer than a carry may be, and longer than the
// reader ever holds do not break the reading.
func TestBackOverLongLines(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	carry := func(seq, size int) string {
		start, end := fmt.Sprintf(`{"seq":%d,"time":"2026-11-23T12:00:00Z","event":"carry","carry":"`, seq), `"}`
		return start + strings.Repeat("x", size-len(start)-len(end)) + end + "\n"
	}
	line := func(seq int) string { return fmt.Sprintf(`{"seq":%d,"event":"claim"}`+"\n", seq) }
	for i, text := range []string{
		carry(0, 5<<20) + line(1),
		carry(2, maxCarryLine+1) + line(3),
		carry(4, 300) + line(5) + strings.Repeat("y", maxCarryLine+3*backBlock) + "\n" + line(6),
	} {
		if err := os.WriteFile(newSegment(dir, "2026-11-23", int64(2*i)).path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if want, got := forth(t, dir, 0), back(t, dir, 0); !reflect.DeepEqual(want, got) {
		t.Fatalf("%d records, not %d, or others", len(got), len(want))
	}
	for seq, want := range map[int64]error{1: nil, 2: ErrNoRecord, 5: nil, 7: ErrNoRecord} {
		if r, _, err := Get(context.Background(), dir, seq); !errors.Is(err, want) || err == nil && r.Seq != seq {
			t.Errorf("record %d: %v", seq, err)
		}
	}
}

func TestGetSaysWhyThereIsNoRecord(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{SegmentBytes: 800})
	segs := segments(t, dir)
	all := records(t, dir)
	for _, want := range all {
		r, line, err := Get(context.Background(), dir, want.Seq)
		if diff := cmp.Diff(want, r); err != nil || diff != "" || !bytes.Contains(line, fmt.Appendf(nil, `"seq":%d,`, want.Seq)) {
			t.Errorf("record %d: %v %s %s", want.Seq, err, diff, line)
		}
	}
	end := int64(len(all))
	edit(t, segs[1].path, func(b []byte) []byte { return append([]byte("?"), b...) })
	edit(t, segs[2].path, func(b []byte) []byte { return b[bytes.IndexByte(b, '\n')+1:] })
	if err := os.Remove(segs[0].path); err != nil {
		t.Fatal(err)
	}
	for seq, says := range map[int64]string{
		-1:            "not the number of a record",
		0:             "0 was removed after its time; the oldest one left is " + fmt.Sprint(segs[1].first),
		segs[1].first: "is damaged",
		segs[2].first: "is missing",
		end:           fmt.Sprintf("is not written yet; there are %d records", end),
	} {
		_, _, err := Get(context.Background(), dir, seq)
		if !errors.Is(err, ErrNoRecord) || !strings.Contains(err.Error(), says) {
			t.Errorf("record %d: %v", seq, err)
		}
	}
}

func TestBackEndsWithItsFunctionOrContext(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	count := 0
	err := Back(context.Background(), dir, 0, func(Record, []byte) error { count++; return io.EOF })
	if err != nil || count != 1 {
		t.Errorf("%d records, %v", count, err)
	}
	// An error of the function is not taken for one of the log.
	if err := Back(context.Background(), dir, 0, func(Record, []byte) error { return os.ErrNotExist }); err != os.ErrNotExist {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Back(ctx, dir, 0, func(Record, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if err := Back(context.Background(), filepath.Join(dir, "none"), 0, nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error = %v", err)
	}
}

// What is pruned while a reader is under way is where the log begins then. A
// segment that is gone while older ones are there was not pruned.
func TestBackWhileSegmentsGo(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{SegmentBytes: 500})
	segs := segments(t, dir)
	if len(segs) < 4 {
		t.Fatalf("%d segments", len(segs))
	}
	removing := func(s segment) ([]int64, error) {
		var got []int64
		err := Back(context.Background(), dir, 0, func(r Record, _ []byte) error {
			if err := os.Remove(s.path); err != nil && !missing(err) {
				return err
			}
			got = append(got, r.Seq)
			return nil
		})
		return got, err
	}
	got, err := removing(segs[0])
	if err != nil || got[len(got)-1] != segs[1].first {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := removing(segs[2]); err == nil || !strings.Contains(err.Error(), "just removed; try again") {
		t.Errorf("error = %v", err)
	}
}

// Readers of a log that is written, begun anew and pruned at that moment get
// records without a gap.
func TestBackWhileTheLogIsWritten(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{SegmentBytes: 2000, MaxBytes: 6000, MinAge: 1, hooks: noSync()})
	fill(t, l, 30)
	ended := make(chan error, 1)
	go func() {
		for i := range 300 {
			_, err := l.Update(context.Background(), func(tx *Tx) error { tx.Add(claim(fmt.Sprint(i))); return nil })
			if err == nil && i%10 == 0 {
				err = l.Prune(context.Background())
			}
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- nil
	}()
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatal(err)
			}
			running = false
		default:
		}
		last := int64(-1)
		err := Back(context.Background(), dir, 0, func(r Record, _ []byte) error {
			if r.Event == Unreadable || last >= 0 && r.Seq != last-1 {
				return fmt.Errorf("record %d (%s) after %d", r.Seq, r.Event, last)
			}
			last = r.Seq
			return nil
		})
		if err != nil || last < 0 {
			t.Fatalf("ended at %d: %v", last, err)
		}
	}
}
