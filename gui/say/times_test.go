package say

import (
	"testing"
	"time"
)

func TestTimes(t *testing.T) {
	zone := time.FixedZone("somewhere", 2*60*60)
	now := time.Date(2026, 3, 2, 0, 30, 0, 0, zone)
	for _, c := range []struct {
		at               time.Time
		when, day, clock string
	}{
		{now.Add(-5 * time.Minute), "today 00:25:00", "Today", "00:25:00"},
		{now.Add(-time.Hour), "yesterday 23:30", "Yesterday", "1 Mar 23:30"}, // an hour ago, and another day
		{time.Date(2026, 3, 1, 21, 59, 0, 0, time.UTC), "yesterday 23:59", "Yesterday", "1 Mar 23:59"},
		{time.Date(2026, 2, 28, 12, 0, 0, 0, zone), "28 February 12:00", "Saturday 28 February", "28 Feb 12:00"},
		{time.Date(2025, 11, 23, 12, 0, 0, 0, zone), "23 November 2025 12:00", "Sunday 23 November 2025", "23 Nov 2025"},
		{now.Add(48 * time.Hour), "4 March 00:30", "Wednesday 4 March", "4 Mar 00:30"}, // dom0's clock was set back
	} {
		if when, day, clock := WhenAt(c.at, now), dayAt(c.at, now), clockAt(c.at, now); when != c.when || day != c.day || clock != c.clock {
			t.Errorf("%s is %q of %q, %q in a list, want %q of %q, %q", c.at, when, day, clock, c.when, c.day, c.clock)
		}
	}
	if got := WhenAt(time.Time{}, now); got != "never" {
		t.Errorf("no time is %q", got)
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second:                     "0 ms",
		250 * time.Millisecond:           "250 ms",
		1500 * time.Millisecond:          "1.5 s",
		59_980 * time.Millisecond:        "1 min",
		90 * time.Second:                 "1 min 30 s",
		5 * time.Minute:                  "5 min",
		time.Hour - time.Millisecond:     "1 h",
		90 * time.Minute:                 "1 h 30 min",
		47*time.Hour + 59*time.Minute:    "47 h 59 min",
		50 * time.Hour:                   "2 days",
		400*24*time.Hour + 3*time.Second: "400 days",
	} {
		if got := Duration(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}

func TestSize(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KB", 1536: "1.5 KB", 1<<20 - 1: "1.0 MB", 1 << 20: "1.0 MB", 5 << 30: "5.0 GB", 3 << 50: "3072.0 TB",
	} {
		if got := Size(n); got != want {
			t.Errorf("%d bytes are %q, want %q", n, got, want)
		}
	}
}
