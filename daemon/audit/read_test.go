package audit

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func seqs(records []Record) []int64 {
	var out []int64
	for _, r := range records {
		out = append(out, r.Seq)
	}
	return out
}

func TestReadBeginsWhereItIsAskedTo(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{SegmentBytes: 800})
	all := records(t, dir)
	if len(all) < 22 || len(segments(t, dir)) < 3 {
		t.Fatalf("%d records in %d segments", len(all), len(segments(t, dir)))
	}
	for from := range all {
		var got []Record
		err := Read(context.Background(), dir, int64(from), func(r Record, _ []byte) error {
			got = append(got, r)
			return nil
		})
		if diff := cmp.Diff(all[from:], got); err != nil || diff != "" {
			t.Fatalf("from %d: %v %s", from, err, diff)
		}
	}
	for _, n := range []int{-1, 0, 1, 5, len(all), len(all) + 10} {
		got, err := ReadLast(context.Background(), dir, n)
		want := all[len(all)-min(max(n, 0), len(all)):]
		if diff := cmp.Diff(seqs(want), seqs(got)); err != nil || diff != "" {
			t.Errorf("last %d: %v %s", n, err, diff)
		}
	}
}

func TestReadStopsWithItsFunctionOrContext(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	enough := errors.New("enough")
	err := Read(context.Background(), dir, 0, func(Record, []byte) error { return enough })
	if !errors.Is(err, enough) {
		t.Errorf("error = %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := Read(ctx, dir, 0, func(Record, []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

// What the head does not cover may still be cut back: nobody is shown it. A log
// without a head is shown as far as it goes.
func TestReadersSeeWhatTheHeadCovers(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte { return append(b, "{\"seq\":21,\"event\":\"claim\"}\n{\"se"...) })
	if got := records(t, dir); len(got) != 21 {
		t.Errorf("%d records are shown", len(got))
	}
	if r := mustVerify(t, dir); r.Unsigned != 1 || !strings.Contains(r.String(), "1 more records are not covered") {
		t.Errorf("report:\n%v", r)
	}
	if err := os.Remove(filepath.Join(dir, headName)); err != nil {
		t.Fatal(err)
	}
	if got := records(t, dir); len(got) != 22 {
		t.Errorf("%d records are shown of a log without head", len(got))
	}
	if got, err := ReadLast(context.Background(), dir, 2); err != nil || len(got) != 2 || got[1].Seq != 21 {
		t.Errorf("last of a log without head: %v, %v", got, err)
	}
}

func TestADamagedLineIsShownAsSuch(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte { return bytes.Replace(b, []byte(`{"seq":4,`), []byte(`?????????`), 1) })
	all := records(t, dir)
	if len(all) != 21 || all[4].Event != Unreadable || all[4].Seq != 4 || all[5].Seq != 5 {
		t.Errorf("records: %+v", all)
	}
}

func TestFollowShowsRecordsAsTheyCome(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{SegmentBytes: 500})
	add(t, l, claim("a"))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	came := make(chan Record)
	ended := make(chan error, 1)
	go func() {
		ended <- Follow(ctx, dir, 1, func(r Record, _ []byte) error {
			select {
			case came <- r:
			case <-ctx.Done():
			}
			return nil
		})
	}()
	next := int64(1)
	expect := func(id string) {
		t.Helper()
		for {
			select {
			case r := <-came:
				if r.Seq != next {
					t.Fatalf("seq %d came after %d", r.Seq, next-1)
				}
				next++
				if r.ID == id {
					return
				}
			case <-ctx.Done():
				t.Fatal("nothing came")
			}
		}
	}
	expect("a")
	for _, id := range []string{"b", "c", "d", "e", "f", "g", "h"} {
		add(t, l, claim(id))
		expect(id)
	}
	if len(segments(t, dir)) < 2 {
		t.Error("the follower never had to change the segment")
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("follow ended with %v", err)
	}
}

func TestFollowWithoutAWatchPolls(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	w := &watch{}
	defer w.close()
	if err := w.wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
	if err := sleep(context.Background(), time.Nanosecond); err != nil {
		t.Errorf("error = %v", err)
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	r := claim("a")
	r.Command = "=cmd|' /C calc'!A0\x1b[2J\n" + "echo \u202e \u009b"
	r.Detail = `x" qube=forged`
	add(t, l, r)
	export := func(format string) string {
		t.Helper()
		var b bytes.Buffer
		if err := Export(context.Background(), dir, &b, format); err != nil {
			t.Fatal(err)
		}
		for _, c := range b.String() {
			if c != '\n' && !printable(string(c)) {
				t.Errorf("%s has the unprintable %q", format, c)
			}
		}
		return b.String()
	}
	segment, err := os.ReadFile(newest(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(segment), export("jsonl")); diff != "" {
		t.Error(diff)
	}
	rows, err := csv.NewReader(strings.NewReader(export("csv"))).ReadAll()
	if err != nil || len(rows) != 3 || len(rows[2]) != len(columns) {
		t.Fatalf("table: %d rows, %v", len(rows), err)
	}
	if cell := rows[2][len(columns)-2]; !strings.HasPrefix(cell, `"=cmd`) {
		t.Errorf("cell = %s", cell)
	}
	text := export("text")
	if strings.Count(text, "\n") != 2 || strings.Contains(text, " qube=forged ") || !strings.Contains(text, ` detail="x\" qube=forged"`) {
		t.Errorf("text = %s", text)
	}
	if err := Export(context.Background(), dir, &bytes.Buffer{}, "xml"); err == nil || !strings.Contains(err.Error(), "jsonl, csv, text") {
		t.Errorf("error = %v", err)
	}
	if err := Export(context.Background(), dir, failWriter{}, "text"); !errors.Is(err, os.ErrClosed) {
		t.Errorf("error = %v", err)
	}
}

type failWriter struct{}

func (failWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }
