package audit

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// FuzzBack: whatever stands in two segments, reading backward ends, shows
// falling numbers, shows what reading forward shows as long as the numbers
// ascend, and a query finds exactly what it shows.
func FuzzBack(f *testing.F) {
	good := `{"seq":0,"event":"claim","qube":"work"}` + "\n" + `{"seq":1,"event":"run","command":"a\u0042"}` + "\n"
	f.Add([]byte(good), []byte(`{"seq":5,"event":"final"}`+"\n"), int64(0), "aB")
	f.Add([]byte(good+"x\n\n"), []byte("\n"+`{"seq":7,"event":"claim"}`+"\n{"), int64(7), "")
	f.Add([]byte(`{"seq":1,"event":"claim"}`+"\n"+good), []byte(`{"seq":6,"event":"run","seq":5}`+"\n"), int64(6), "work")
	f.Add([]byte(good+`{"seq":2,"event"`+"\n"+`{"seq":2,"event":"run"}`+"\n"+`{"seq":3,"event":"x"}`+"\n"), []byte{}, int64(0), "n")
	f.Fuzz(func(t *testing.T, a, b []byte, before int64, text string) {
		if len(a)+len(b) > 1<<14 {
			return
		}
		dir := t.TempDir()
		for first, data := range map[int64][]byte{0: a, 5: b} {
			if err := os.WriteFile(newSegment(dir, "2026-11-23", first).path, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		all := back(t, dir, before)
		for i, s := range all {
			if s.Rec.Seq < 0 || before > 0 && s.Rec.Seq >= before || i > 0 && s.Rec.Seq > all[i-1].Rec.Seq {
				t.Fatalf("number %d below %d", s.Rec.Seq, before)
			}
		}
		if inOrder(dir) {
			if diff := cmp.Diff(forth(t, dir, before), all); diff != "" {
				t.Fatal(diff)
			}
		}
		for _, f := range []Filter{{}, {Text: text}, {Qube: text}, {Events: []Event{Event(text), Run}}, {Events: []Event{Unreadable}}, {Until: time.Unix(1, 0)}} {
			got, _ := find(t, dir, f, before, 1<<20)
			if diff := cmp.Diff(repaired(picked(t, dir, f, before)), got); diff != "" {
				t.Fatalf("%+v: %s", f, diff)
			}
		}
	})
}

// repaired are lines as a query hands them out.
func repaired(lines []string) (out []string) {
	for _, l := range lines {
		out = append(out, string(shown([]byte(l))))
	}
	return out
}

// inOrder says that the numbers of all lines that are records ascend, within
// the bounds of their segments, and stand in front.
func inOrder(dir string) bool {
	segs, err := listSegments(dir)
	if err != nil {
		return false
	}
	next := int64(0)
	for i, s := range segs {
		data, err := os.ReadFile(s.path)
		if err != nil {
			return false
		}
		next = max(next, s.first)
		for start, j := 0, 0; j < len(data); j++ {
			if data[j] != '\n' {
				continue
			}
			line := data[start:j]
			start = j + 1
			r, err := parseLine(line)
			if err != nil {
				continue
			}
			lead, ok := leadingSeq(line)
			if r.Seq < next || ok && lead != r.Seq || i+1 < len(segs) && r.Seq >= segs[i+1].first {
				return false
			}
			next = r.Seq + 1
		}
	}
	return true
}
