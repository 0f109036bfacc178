package policy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"qvmremote/daemon/settings"
	"qvmremote/queue"
)

// Limits of one qube; what is zero is not set. They lower what the settings
// allow and never raise it.
type Limits struct {
	RequestsPerMinute int
	Running           int   // commands at once
	Pending           int   // requests that wait
	MaxBody           int64 // bytes of a script
	MaxStdin          int64 // bytes
	MaxTimeout        int   // seconds a request may ask for
	SuspendAfter      int   // requests in a row that were not signed with the qube's key
}

// limit is one that a line can set.
type limit struct {
	name, form string
	set        func(l *Limits, value string) error
}

// limitTable lists them in the order of the manual.
func limitTable() []limit {
	return []limit{
		{"requests", "N/min", func(l *Limits, v string) error {
			n, ok := strings.CutSuffix(v, "/min")
			if !ok {
				return fmt.Errorf("%s is not N/min, such as 30/min", queue.Quote(v, 40))
			}
			return setInt(&l.RequestsPerMinute, n, 1, 6000)
		}},
		{"running", "N", func(l *Limits, v string) error { return setInt(&l.Running, v, 1, 1000) }},
		{"pending", "N", func(l *Limits, v string) error { return setInt(&l.Pending, v, 1, queue.MaxPending) }},
		{"script", "SIZE", func(l *Limits, v string) error { return setSize(&l.MaxBody, v, 1, queue.MaxScript) }},
		{"stdin", "SIZE", func(l *Limits, v string) error { return setSize(&l.MaxStdin, v, 1, queue.MaxStdin) }},
		{"timeout", "SECONDS", func(l *Limits, v string) error { return setInt(&l.MaxTimeout, v, 1, queue.MaxTimeout) }},
		{"failures", "N", func(l *Limits, v string) error { return setInt(&l.SuspendAfter, v, 1, 1000) }},
	}
}

func setInt(field *int, value string, lo, hi int) error {
	n, err := strconv.Atoi(value)
	if err != nil || strconv.Itoa(n) != value || n < lo || n > hi {
		return fmt.Errorf("%s is not a whole number from %d to %d", queue.Quote(value, 40), lo, hi)
	}
	*field = n
	return nil
}

func setSize(field *int64, value string, lo, hi int64) error {
	n, err := settings.ParseSize(value)
	if err != nil {
		return err
	}
	if n < lo || n > hi {
		return fmt.Errorf("%s is not between %d and %d bytes", queue.Quote(value, 40), lo, hi)
	}
	*field = n
	return nil
}

// setLimit sets the limit of that name.
func (l *Limits) set(name, value string) error {
	var names []string
	for _, known := range limitTable() {
		if known.name == name {
			return known.set(l, value)
		}
		names = append(names, known.name)
	}
	return errors.New("no such limit; there are " + strings.Join(names, ", "))
}
