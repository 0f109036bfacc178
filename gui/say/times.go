package say

import (
	"fmt"
	"time"
)

// When is a moment as a person would say it today.
func When(t time.Time) string { return WhenAt(t, time.Now()) }

// WhenAt is When as said at now, in its time zone.
func WhenAt(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	t = t.In(now.Location())
	switch daysBetween(t, now) {
	case 0:
		return "today " + t.Format("15:04:05")
	case 1:
		return "yesterday " + t.Format("15:04")
	}
	if t.Year() == now.Year() {
		return t.Format("2 January 15:04")
	}
	return t.Format("2 January 2006 15:04")
}

// Day is the heading of a day.
func Day(t time.Time) string { return dayAt(t, time.Now()) }

func dayAt(t, now time.Time) string {
	t = t.In(now.Location())
	switch daysBetween(t, now) {
	case 0:
		return "Today"
	case 1:
		return "Yesterday"
	}
	if t.Year() == now.Year() {
		return t.Format("Monday 2 January")
	}
	return t.Format("Monday 2 January 2006")
}

// daysBetween counts days of the calendar, not 24 hours.
func daysBetween(t, now time.Time) int {
	day := func(t time.Time) time.Time { return time.Date(t.Year(), t.Month(), t.Day(), 12, 0, 0, 0, time.UTC) }
	return int(day(now).Sub(day(t)) / (24 * time.Hour))
}

// Duration is a length of time in one unit or two.
func Duration(d time.Duration) string {
	d = max(d, 0)
	switch seconds, minutes := d.Round(time.Second), d.Round(time.Minute); {
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	case d.Round(time.Second/10) < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case seconds < time.Hour:
		return units(seconds, time.Minute, "min", time.Second, "s")
	case minutes < 48*time.Hour:
		return units(minutes, time.Hour, "h", time.Minute, "min")
	}
	return Count(int64(d/(24*time.Hour)), "day")
}

// units is a length of time in a large unit and, for what is left, a small one.
func units(d, large time.Duration, name string, small time.Duration, rest string) string {
	text := fmt.Sprintf("%d %s", d/large, name)
	if left := d % large / small; left > 0 {
		text += fmt.Sprintf(" %d %s", left, rest)
	}
	return text
}

// Size is a number of bytes in the largest unit that fits.
func Size(bytes uint64) string {
	const unit = 1024
	if bytes < unit {
		return fmt.Sprintf("%d B", bytes)
	}
	// From here on one decimal would be "1024.0".
	const almost = unit - 0.05
	value, names := float64(bytes)/unit, []string{"KB", "MB", "GB", "TB"}
	for value >= almost && len(names) > 1 {
		value, names = value/unit, names[1:]
	}
	return fmt.Sprintf("%.1f %s", value, names[0])
}

// Clock is the time in a row of a list: to the second today, with the day
// before that, since the row's heading may be out of sight.
func Clock(t time.Time) string { return clockAt(t, time.Now()) }

func clockAt(t, now time.Time) string {
	t = t.In(now.Location())
	switch {
	case daysBetween(t, now) == 0:
		return t.Format("15:04:05")
	case t.Year() == now.Year():
		return t.Format("2 Jan 15:04")
	}
	return t.Format("2 Jan 2006")
}
