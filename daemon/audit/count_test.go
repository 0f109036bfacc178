package audit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ended are the records of one qube in which each outcome is counted once,
// refusals three times.
func ended(qube string) []Record {
	exit := func(n int) *int { return &n }
	return []Record{
		{Event: Claim, Qube: qube},
		{Event: Run, Qube: qube, Command: `"event":"final"`},
		{Event: Final, Qube: qube, State: Exit, Exit: exit(0)},
		{Event: Final, Qube: qube, State: Exit, Exit: exit(3)},
		{Event: Final, Qube: qube, State: Timeout, Exit: exit(124)},
		{Event: Final, Qube: qube, State: Cancelled},
		{Event: Final, Qube: qube, State: Denied, Reason: "limit"},
		{Event: Final, Qube: qube, State: Interrupted},
		{Event: Refused, Qube: qube},
		{Event: RefusedCount, Qube: qube, Count: 2},
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	dir, c := logDir(t), newClock()
	began := c.now()
	l, _ := openLog(t, dir, Options{Now: c.now, hooks: noSync()})
	step := func(d time.Duration, qubes ...string) {
		c.add(d)
		for _, q := range qubes {
			add(t, l, ended(q)...)
		}
	}
	const day = 24 * time.Hour
	step(0, "a")
	step(time.Hour, "a", "b")
	step(3*day, "b")
	step(-2*day, "a") // the clock was set back: on day 1, in a segment of day 3
	step(9*day, "a")
	if n := len(segments(t, dir)); n < 3 {
		t.Fatalf("%d segments", n)
	}
	for _, tt := range []struct {
		from, to, bucket time.Duration
		qube             string
		want             []int64
	}{
		{0, 12 * day, day, "", []int64{3, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0}},
		{0, 12 * day, day, "a", []int64{2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}},
		{0, 2 * time.Hour, time.Hour, "", []int64{1, 2}},
		{1, 2 * time.Hour, 2 * time.Hour, "b", []int64{1}},
		{0, time.Hour, 7 * time.Minute, "", []int64{1, 0, 0, 0, 0, 0, 0, 0, 0}},
		{10 * day, 11 * day, day, "", []int64{1}},
		{-9 * day, -8 * day, day, "", []int64{0}},
		{0, 12 * day, day, "c", make([]int64, 12)},
	} {
		name := fmt.Sprintf("%v to %v by %v of %q", tt.from, tt.to, tt.bucket, tt.qube)
		got, err := Counts(context.Background(), dir, began.Add(tt.from), began.Add(tt.to), tt.bucket, tt.qube)
		var want []Bucket
		for i, n := range tt.want {
			want = append(want, Bucket{began.Add(tt.from + time.Duration(i)*tt.bucket), n, n, n, n, n, n, 3 * n})
		}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}

func TestCountsBadInput(t *testing.T) {
	t.Parallel()
	dir, now := written(t, Options{}), time.Now()
	for _, tt := range []struct {
		from, to time.Time
		bucket   time.Duration
		says     string
	}{
		{now, now, time.Second, "a later one"},
		{now, now.Add(-1), time.Second, "a later one"},
		{time.Time{}, now, time.Second, "needs a time"},
		{now, now.Add(time.Hour), 0, "above 0"},
		{now, now.Add(MaxBuckets*time.Second + 1), time.Second, "at most 1000 buckets"},
		{time.Unix(-1<<40, 0), now, 1<<63 - 1, "at most 1000 buckets"},
	} {
		_, err := Counts(context.Background(), dir, tt.from, tt.to, tt.bucket, "")
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v to %v by %v: %v", tt.from, tt.to, tt.bucket, err)
		}
	}
	if b, err := Counts(context.Background(), dir, now, now.Add(MaxBuckets*time.Second), time.Second, ""); err != nil || len(b) != MaxBuckets {
		t.Errorf("%d buckets, %v", len(b), err)
	}
}
