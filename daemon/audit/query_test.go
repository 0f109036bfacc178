package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func find(t fataler, dir string, f Filter, before int64, limit int) ([]string, int64) {
	t.Helper()
	lines, next, err := Query(context.Background(), dir, f, before, limit, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, l := range lines {
		out = append(out, string(l))
	}
	return out, next
}

// meant is the Filter said again, in the plainest way.
func meant(f Filter, r Record) bool {
	texts := []string{r.Command, r.Detail, r.Who, r.ID, r.Qube, r.Reason}
	timed := f.Since.IsZero() && f.Until.IsZero() ||
		!r.Time.IsZero() && r.Time.Compare(f.Since) >= 0 && (f.Until.IsZero() || r.Time.Compare(f.Until) < 0)
	return (f.Qube == "" || f.Qube == r.Qube) && (f.Reason == "" || f.Reason == r.Reason) && (f.ID == "" || f.ID == r.ID) &&
		(f.Number == 0 || f.Number == r.Number) && timed &&
		(f.Events == nil || slices.Contains(f.Events, r.Event)) && (f.States == nil || slices.Contains(f.States, r.State)) &&
		slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(asciiLower(s), asciiLower(f.Text)) })
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

// picked is what Query must return, made from what Back shows.
func picked(t fataler, dir string, f Filter, before int64) []string {
	t.Helper()
	var out []string
	var bad Record
	flush := func() {
		if line, _ := encodeLine(bad); bad.Count > 0 {
			out = append(out, string(line))
		}
		bad = Record{}
	}
	for _, s := range back(t, dir, before) {
		if !meant(f, s.Rec) {
			continue
		}
		if s.Rec.Event != Unreadable || s.Rec.Seq != bad.Seq {
			flush()
		}
		if s.Rec.Event == Unreadable {
			bad = Record{Seq: s.Rec.Seq, Event: Unreadable, Count: bad.Count + 1}
		} else {
			out = append(out, s.Line)
		}
	}
	flush()
	return out
}

// paged asks page by page.
func paged(t fataler, dir string, f Filter, before int64, limit int) []string {
	t.Helper()
	var out []string
	for {
		lines, next := find(t, dir, f, before, limit)
		out = append(out, lines...)
		if next == 0 {
			return out
		}
		if before > 0 && next >= before || len(lines) < limit || len(lines) > limit+1 {
			t.Fatal("page below", before, "has", len(lines), "of", limit, "and goes on at", next)
		}
		before = next
	}
}

func drawFilter(t *rapid.T) Filter {
	pick := func(what string, from ...string) string { return rapid.SampledFrom(from).Draw(t, what) }
	var f Filter
	f.Qube = pick("qube", "", "", "work", "wor")
	f.Reason = pick("reason", "", "", "", "limit")
	f.ID = pick("id", "", "", "", "id-1", "id-3")
	f.Text = pick("text", "", "", "QVM-ls", "id-1", "state\n", "\n", "fields name,STATE", "é", "\"", "no such")
	f.Events = rapid.SampledFrom([][]Event{nil, nil, {Run}, {Claim, Final}, {Unreadable}, {Unreadable, CarryEvent}}).Draw(t, "events")
	f.States = rapid.SampledFrom([][]State{nil, nil, nil, {Exit, Denied}, {Denied}}).Draw(t, "states")
	f.Number = rapid.SampledFrom([]int64{0, 0, 0, 7, 8}).Draw(t, "number")
	now := time.Now()
	f.Since = rapid.SampledFrom([]time.Time{{}, {}, now.Add(-time.Hour), now.Add(72 * time.Hour)}).Draw(t, "since")
	f.Until = rapid.SampledFrom([]time.Time{{}, {}, now.Add(time.Hour), now.Add(-72 * time.Hour)}).Draw(t, "until")
	return f
}

func TestQueryIsReadFiltered(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	rounds := 0
	rapid.Check(t, func(t *rapid.T) {
		rounds++
		dir := filepath.Join(parent, fmt.Sprint(rounds))
		damagedLog(t, dir)
		for range 3 {
			f := drawFilter(t)
			before := rapid.SampledFrom([]int64{0, 3, 20, 1000}).Draw(t, "before")
			want := picked(t, dir, f, before)
			if diff := cmp.Diff(want, paged(t, dir, f, before, 10_000)); diff != "" {
				t.Fatalf("%+v below %d: %s", f, before, diff)
			}
			limit := rapid.IntRange(1, 6).Draw(t, "limit")
			if diff := cmp.Diff(want, paged(t, dir, f, before, limit)); diff != "" {
				t.Fatalf("%+v below %d by %d: %s", f, before, limit, diff)
			}
		}
	})
}

// However JSON spells a text, it is found when it is meant and not otherwise.
func TestTextIsFoundHoweverItIsSpelled(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{})
	run := claim("a")
	run.Event, run.Command = Run, "echo \"A\\b\"\t\x1b[31m é\u202e/Straße\n"
	add(t, l, run, Record{Event: Setting, Who: "1000", Detail: "unseen was \\u0041lpha"}, Record{Event: Refused, Qube: "Personal", Reason: "limit"})
	edit(t, newest(t, dir), func(b []byte) []byte {
		return []byte(strings.Replace(string(b), `unseen`, `un\u0073een \/etc`, 1))
	})
	for text, want := range map[string]int{
		`echo "a\b"`: 1, "\t\x1b[31M É": 0, "\t\x1b[31M é\u202e/STRAßE\n": 1, "u202e": 0, "\u202e": 1, `\n`: 0, "\n": 1,
		"UNSEEN": 1, `\u0041LPHA`: 1, "alpha": 0, "/ETC": 1, "1000": 1, "ß": 1, "L": 2, "\x1b": 1, "PERSON": 1, "Limit": 1,
		"refused": 0, "seq": 0, "sha256": 0, "\xc3": 1, "\ufffd": 0,
	} {
		if lines, _ := find(t, dir, Filter{Text: text}, 0, 100); len(lines) != want {
			t.Errorf("%q: %d records", text, len(lines))
		}
	}
}

func TestAPageEndsWithItsBudget(t *testing.T) {
	t.Parallel()
	dir := logDir(t)
	l, _ := openLog(t, dir, Options{SegmentBytes: 20_000, hooks: noSync()})
	for i := range 100 {
		_, err := l.Update(context.Background(), func(tx *Tx) error { request(tx, fmt.Sprint("id-", i), "h"); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	pages, before, found := 0, int64(0), 0
	for {
		lines, next, err := Query(context.Background(), dir, Filter{Text: "ID-0"}, before, 10, time.Nanosecond)
		if err != nil {
			t.Fatal(err)
		}
		found += len(lines)
		if pages++; next == 0 {
			break
		}
		if before > 0 && next > before-32 {
			t.Fatalf("from %d only to %d", before, next)
		}
		before = next
	}
	if pages < 3 || found != 4 {
		t.Errorf("%d pages with %d records", pages, found)
	}
}

func TestQueryBadInput(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	for _, limit := range []int{0, -1} {
		if _, _, err := Query(context.Background(), dir, Filter{}, 0, limit, 0); err == nil || !strings.Contains(err.Error(), "not a number of audit records") {
			t.Errorf("limit %d: %v", limit, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := Query(ctx, dir, Filter{}, 0, 1, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v", err)
	}
}

// A damaged line that still is a record is made fit to be sent and shown.
func TestQueriedLinesAreValidText(t *testing.T) {
	t.Parallel()
	dir := written(t, Options{})
	edit(t, newest(t, dir), func(b []byte) []byte {
		return []byte(strings.ReplaceAll(string(b), `"qube":"work"`, "\"qube\":\"wo\xff\u009b\""))
	})
	lines, _ := find(t, dir, Filter{Qube: "wo\ufffd\u009b"}, 0, 100)
	for _, l := range lines {
		var r Record
		if !utf8.ValidString(l) || strings.Contains(l, "\u009b") || json.Unmarshal([]byte(l), &r) != nil || r.Qube != "wo\ufffd\u009b" {
			t.Errorf("line %q", l)
		}
	}
	if len(lines) != 20 {
		t.Errorf("%d lines", len(lines))
	}
}
