package audit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"
)

// BenchmarkAppend is one Update after the other; fsync/op says how many times
// one bare fsync that takes.
func BenchmarkAppend(b *testing.B) {
	l, _ := openLog(b, logDir(b), Options{})
	one := fsyncTime(b)
	b.ResetTimer()
	for i := range b.N {
		add(b, l, claim(fmt.Sprint(i)))
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(one), "fsyncs/op")
}

// BenchmarkAppendGrouped is Updates from 8 goroutines at once.
func BenchmarkAppendGrouped(b *testing.B) {
	l, _ := openLog(b, logDir(b), Options{})
	var next atomic.Int64
	b.SetParallelism(4)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			id := fmt.Sprint(next.Add(1))
			_, err := l.Update(context.Background(), func(tx *Tx) error {
				tx.Add(claim(id))
				return nil
			})
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
}

func fsyncTime(b *testing.B) time.Duration {
	f, err := os.Create(filepath.Join(b.TempDir(), "f"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	start := time.Now()
	const times = 50
	for range times {
		if _, err := f.WriteString("one line of a log\n"); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
	}
	return time.Since(start) / times
}

const large = 100_000

// largeLog has 100,000 records as 25,000 requests leave them, the first claim
// open, so that a start must read them all.
func largeLog(b *testing.B) string {
	dir := logDir(b)
	l, _ := openLog(b, dir, Options{})
	add(b, l, claim("open"))
	for done := 0; done < large; {
		_, err := l.Update(context.Background(), func(tx *Tx) error {
			for range 1000 {
				request(tx, fmt.Sprintf("20261123-144232-18674-%08x", done), l.Head())
				done += 4
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	mustClose(b, l)
	return dir
}

const someHash = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

func request(tx *Tx, id, head string) {
	for _, r := range requested(id, head) {
		tx.Add(r)
	}
}

// requested are the four records that a request leaves.
func requested(id, head string) []Record {
	c := claim(id)
	c.Key, c.Kind, c.Version = "9f86 d081 884c 7d65 9a2f eaa0 c55a d015", "script", 2
	c.Request, c.Body, c.Stdin = someHash, someHash+" 11", "none"
	c.Expires, c.Timeout = c.Issued+300, 300
	f := final(id)
	f.StartedAt, f.Duration, f.Out, f.Err = f.Issued, 12, someHash+" 5", someHash+" 0"
	return []Record{
		c,
		{Event: Run, Qube: "work", ID: id, Number: 7, Command: "qvm-ls --raw-data --fields name,state\n"},
		f,
		{Event: Delivered, Qube: "work", ID: id, Number: 7, Checkpoint: someHash, Nonce: someHash[7:], Head: head},
	}
}

// BenchmarkOpen starts on 100,000 records, all of which must be read.
func BenchmarkOpen(b *testing.B) {
	dir := largeLog(b)
	b.ResetTimer()
	for range b.N {
		l, q := openLog(b, dir, Options{})
		if q.Total < large/4 {
			b.Fatalf("only %d claims were read", q.Total)
		}
		b.StopTimer()
		mustClose(b, l)
		b.StartTimer()
	}
}

// BenchmarkVerify checks 100,000 records against one checkpoint that is not
// there, so that all of them are looked at.
func BenchmarkVerify(b *testing.B) {
	dir := largeLog(b)
	b.ResetTimer()
	for range b.N {
		if r := verify(b, dir, someHash); r.Records < large || len(r.Failures) != 1 {
			b.Fatal(r)
		}
	}
}
