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
	name string
	set  func(l *Limits, value string) error
	text func(l Limits) string // "" where it is not set
}

// limitTable lists them in the order of the manual.
func limitTable() []limit {
	return []limit{
		count("requests", "/min", 6000, func(l *Limits) *int { return &l.RequestsPerMinute }),
		count("running", "", 1000, func(l *Limits) *int { return &l.Running }),
		count("pending", "", queue.MaxPending, func(l *Limits) *int { return &l.Pending }),
		size("script", queue.MaxScript, func(l *Limits) *int64 { return &l.MaxBody }),
		size("stdin", queue.MaxStdin, func(l *Limits) *int64 { return &l.MaxStdin }),
		count("timeout", "", queue.MaxTimeout, func(l *Limits) *int { return &l.MaxTimeout }),
		count("failures", "", 1000, func(l *Limits) *int { return &l.SuspendAfter }),
	}
}

func count(name, unit string, most int, field func(*Limits) *int) limit {
	return limit{name: name,
		set: func(l *Limits, value string) error {
			digits, ok := strings.CutSuffix(value, unit)
			n, err := strconv.Atoi(digits)
			if !ok || err != nil || strconv.Itoa(n) != digits || n < 1 || n > most {
				return fmt.Errorf("%s is not 1%s to %d%[2]s", queue.Quote(value, 40), unit, most)
			}
			*field(l) = n
			return nil
		},
		text: func(l Limits) string {
			if n := *field(&l); n > 0 {
				return strconv.Itoa(n) + unit
			}
			return ""
		}}
}

func size(name string, most int64, field func(*Limits) *int64) limit {
	return limit{name: name,
		set: func(l *Limits, value string) error {
			n, err := settings.ParseSize(value)
			if err == nil && (n < 1 || n > most) {
				err = fmt.Errorf("%s is not 1 to %d bytes", queue.Quote(value, 40), most)
			}
			if err != nil {
				return err
			}
			*field(l) = n
			return nil
		},
		text: func(l Limits) string {
			if n := *field(&l); n > 0 {
				return strconv.FormatInt(n, 10)
			}
			return ""
		}}
}

// Strings lists the limits that are set as lines of a policy set them.
func (l Limits) Strings() []string {
	var list []string
	for _, known := range limitTable() {
		if value := known.text(l); value != "" {
			list = append(list, "limit "+known.name+" "+value)
		}
	}
	return list
}

// set sets the limit of that name.
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
