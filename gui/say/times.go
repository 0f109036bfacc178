package say

import (
	"fmt"
	"strings"
	"time"

	"qvmremote/ui/i18n"
)

var months = [...]string{
	i18n.T("January"), i18n.T("February"), i18n.T("March"), i18n.T("April"), i18n.C("month", "May"), i18n.T("June"),
	i18n.T("July"), i18n.T("August"), i18n.T("September"), i18n.T("October"), i18n.T("November"), i18n.T("December"),
}

var shortMonths = [...]string{
	i18n.T("Jan"), i18n.T("Feb"), i18n.T("Mar"), i18n.T("Apr"), i18n.C("short month", "May"), i18n.T("Jun"),
	i18n.T("Jul"), i18n.T("Aug"), i18n.T("Sep"), i18n.T("Oct"), i18n.T("Nov"), i18n.T("Dec"),
}

var weekdays = [...]string{
	i18n.T("Sunday"), i18n.T("Monday"), i18n.T("Tuesday"), i18n.T("Wednesday"), i18n.T("Thursday"), i18n.T("Friday"), i18n.T("Saturday"),
}

// When is a moment as a person would say it today.
func When(t time.Time) string { return WhenAt(t, time.Now()) }

// WhenAt is When as said at now, in its time zone.
func WhenAt(t, now time.Time) string {
	if t.IsZero() {
		return i18n.T("never")
	}
	t = t.In(now.Location())
	switch daysBetween(t, now) {
	case 0:
		return i18n.T("today %s", t.Format("15:04:05"))
	case 1:
		return i18n.T("yesterday %s", t.Format("15:04"))
	}
	if t.Year() == now.Year() {
		return i18n.C("day, month, time of day", "%d %s %s", t.Day(), month(t), t.Format("15:04"))
	}
	return full(t, "15:04")
}

// Moment is a moment of a record, to the millisecond, in this time zone.
func Moment(t time.Time) string { return full(t.Local(), "15:04:05.000") }

func full(t time.Time, clock string) string {
	return i18n.C("day, month, year, time of day", "%d %s %d %s", t.Day(), month(t), t.Year(), t.Format(clock))
}

func month(t time.Time) string { return months[t.Month()-1] }

// Day is the heading of a day.
func Day(t time.Time) string { return dayAt(t, time.Now()) }

func dayAt(t, now time.Time) string {
	t = t.In(now.Location())
	switch daysBetween(t, now) {
	case 0:
		return i18n.T("Today")
	case 1:
		return i18n.T("Yesterday")
	}
	if t.Year() == now.Year() {
		return i18n.C("weekday, day, month", "%s %d %s", weekdays[t.Weekday()], t.Day(), month(t))
	}
	return i18n.C("weekday, day, month, year", "%s %d %s %d", weekdays[t.Weekday()], t.Day(), month(t), t.Year())
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
		return decimal(d.Seconds()) + " s"
	case seconds < time.Hour:
		return units(seconds, time.Minute, "min", time.Second, "s")
	case minutes < 48*time.Hour:
		return units(minutes, time.Hour, "h", time.Minute, "min")
	}
	days := int(d / (24 * time.Hour))
	return i18n.N(days, "%d day", "%d days", days)
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
	return decimal(value) + " " + names[0]
}

// decimal has one place after the point, which is a comma in some languages.
func decimal(value float64) string {
	return strings.Replace(fmt.Sprintf("%.1f", value), ".", i18n.C("decimal point", "."), 1)
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
		return i18n.C("day, short month, time of day", "%d %s %s", t.Day(), shortMonths[t.Month()-1], t.Format("15:04"))
	}
	return i18n.C("day, short month, year", "%d %s %d", t.Day(), shortMonths[t.Month()-1], t.Year())
}
