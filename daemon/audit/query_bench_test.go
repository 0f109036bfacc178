package audit

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// millionLog has 1,000,000 records as 250,000 requests of five qubes leave
// them, in segments of 16 MiB, under a signed head. The hashes of the head are
// not those of the records: readers do not look at them.
func millionLog(b *testing.B) string {
	dir := logDir(b)
	if err := os.Mkdir(dir, 0o700); err != nil {
		b.Fatal(err)
	}
	key, err := loadKey(dir)
	if err != nil {
		b.Fatal(err)
	}
	const most = 1_000_000
	h, err := key.sign(most, [32]byte{})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, headName), []byte(h.text), 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
	var text bytes.Buffer
	first, began := int64(0), time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	four := requested("20261123-144232-18674-00000000", h.text)
	for seq := range int64(most) {
		r := four[seq%4]
		r.Seq, r.Time, r.Number, r.Qube = seq, began.Add(time.Duration(seq)*100*time.Millisecond), seq/4+1, fmt.Sprint("qube-", seq/4%5)
		if seq/4 == most/8 && r.Event == Run {
			r.Command = "needle in the hay"
		}
		line, err := encodeLine(r)
		if err != nil {
			b.Fatal(err)
		}
		text.Write(append(line, '\n'))
		if text.Len() < 16<<20 && seq+1 < most {
			continue
		}
		if err := os.WriteFile(newSegment(dir, r.Time.Format(time.DateOnly), first).path, text.Bytes(), 0o600); err != nil {
			b.Fatal(err)
		}
		first = seq + 1
		text.Reset()
	}
	return dir
}

// BenchmarkQuery is one page of 100 of 1,000,000 records, and filters over all
// of them.
func BenchmarkQuery(b *testing.B) {
	dir := millionLog(b)
	for _, q := range []struct {
		name   string
		f      Filter
		before int64
		want   int
	}{
		{"newest", Filter{}, 0, 100},
		{"middle", Filter{}, 500_000, 100},
		{"qube", Filter{Qube: "qube-3"}, 0, 100},
		{"denied", Filter{Events: []Event{Final}, States: []State{Denied}}, 0, 0},
		{"text", Filter{Text: "Needle"}, 0, 1},
		{"text/none", Filter{Text: "x-y-z"}, 0, 0},
		{"text/letter", Filter{Text: "~"}, 0, 0},
		{"text/first", Filter{Text: "QVM-LS --raw"}, 0, 100},
		{"since", Filter{Since: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}, 0, 0},
	} {
		b.Run(q.name, func(b *testing.B) {
			for range b.N {
				lines, _, err := Query(context.Background(), dir, q.f, q.before, 100, 0)
				if err != nil || len(lines) != q.want {
					b.Fatal(len(lines), err)
				}
			}
		})
	}
	b.Run("counts", func(b *testing.B) {
		from := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
		for range b.N {
			if _, err := Counts(context.Background(), dir, from, from.Add(48*time.Hour), time.Hour, ""); err != nil {
				b.Fatal(err)
			}
		}
	})
}
