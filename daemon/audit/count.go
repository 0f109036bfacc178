package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
)

// MaxBuckets is the most buckets that [Counts] counts into.
const MaxBuckets = 1000

// Bucket counts the requests that ended within a stretch of time, by outcome.
type Bucket struct {
	From        time.Time // UTC; it ends where the next one begins
	Done        int64     // ran, exit 0
	Failed      int64     // ran, another exit
	Timeout     int64
	Cancelled   int64
	Denied      int64 // claimed and denied
	Interrupted int64
	Refused     int64 // refused without a claim, also those recorded as a number
}

// Counts counts the requests that ended from from on and before to, in buckets
// of that length (the last may be shorter), at most [MaxBuckets]; of one qube
// where qube is not "". Times are those of the final and refusing records. It
// reads only segments that can hold them; see [Query] about the clock.
func Counts(ctx context.Context, dir string, from, to time.Time, bucket time.Duration, qube string) ([]Bucket, error) {
	buckets, err := newBuckets(from, to, bucket)
	if err != nil {
		return nil, err
	}
	m := newMatcher(Filter{Qube: qube, Events: []Event{Final, Refused, RefusedCount}, Since: from, Until: to})
	w := walk{dir: dir, since: from, until: to, want: m.want()}
	w.fn = func(e *entry) error {
		if !e.skipped && m.match(&e.rec) {
			buckets[e.rec.Time.Sub(from)/bucket].count(&e.rec)
		}
		return nil
	}
	if err := w.run(ctx); err != nil {
		return nil, err
	}
	return buckets, nil
}

func newBuckets(from, to time.Time, bucket time.Duration) ([]Bucket, error) {
	if bucket <= 0 || from.IsZero() || !from.Before(to) {
		return nil, errors.New("counting needs a time, a later one, and a length above 0")
	}
	length := to.Sub(from) // math.MaxInt64 where it is longer than 292 years
	n := (length-1)/bucket + 1
	if n > MaxBuckets || length == math.MaxInt64 {
		return nil, fmt.Errorf("at most %d buckets are counted; ask for a shorter time or longer buckets", MaxBuckets)
	}
	buckets := make([]Bucket, n)
	for i := range buckets {
		buckets[i].From = from.Add(time.Duration(i) * bucket).UTC()
	}
	return buckets, nil
}

func (b *Bucket) count(r *Record) {
	switch {
	case r.Event == Refused:
		b.Refused++
	case r.Event == RefusedCount:
		b.Refused += max(0, r.Count)
	case r.State == Timeout:
		b.Timeout++
	case r.State == Cancelled:
		b.Cancelled++
	case r.State == Denied:
		b.Denied++
	case r.State == Interrupted:
		b.Interrupted++
	case r.State == Exit && r.Exit != nil && *r.Exit == 0:
		b.Done++
	case r.State == Exit:
		b.Failed++
	}
}

// leadingTime reads the time off the beginning of a line as encodeLine writes
// it.
func leadingTime(line []byte) (time.Time, bool) {
	const key = `,"time":"`
	i := bytes.Index(line, []byte(key))
	if _, ok := leadingSeq(line); !ok || i < 0 {
		return time.Time{}, false
	}
	text, _, ok := strings.Cut(string(line[i+len(key):]), `"`)
	t, err := time.Parse(time.RFC3339Nano, text)
	return t, ok && err == nil
}
