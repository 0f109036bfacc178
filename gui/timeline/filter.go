package timeline

import (
	"errors"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// Filter says which rows are wanted; all that is set must hold.
type Filter struct {
	Qube    string
	Kind    Kind
	Since   time.Time
	Text    string         // in command, detail, account, qube, id or reason, whatever its case
	Pattern *regexp.Regexp // in command, detail, reason, qube or id
}

// Kind is one kind of rows.
type Kind string

// The kinds. All of "" is every one.
const (
	Done     Kind = "done"     // ended with 0
	Failed   Kind = "failed"   // ended with another code, in time or not, or was interrupted
	Denied   Kind = "denied"   // denied, refused, or a copy
	Ended    Kind = "ended"    // cancelled
	Decision Kind = "decision" // keys, settings, the service
	Every    Kind = "every"    // every record, steps included
)

var (
	requests  = []string{"final", "run", "claim"}
	refusals  = []string{"refused", "refused-count", "replayed", "dropped"}
	decisions = []string{
		"authorized", "revoked", "rotating", "rotated", "connected", "disconnected", "cleaned", "recovered", "setting", "approved", "suspended", "readmitted",
		"started", "stopped", "enabled", "disabled", "paused", "resumed", "stopped-everything", "torn", "loss", "pruned",
	}
)

// None reports that nothing is filtered.
func (f Filter) None() bool { return f == Filter{} }

// whole reports that rows stand where the log has their records, so that it can
// be shown from its middle.
func (f Filter) whole() bool { return f.None() || f == Filter{Kind: Every} }

// maxPattern bounds what is searched for, in bytes.
const maxPattern = 1000

// Compile makes a pattern of what a person typed, without regard to case.
func Compile(pattern string) (*regexp.Regexp, error) {
	if len(pattern) > maxPattern {
		return nil, errors.New(i18n.T("the pattern is longer than %d characters", maxPattern))
	}
	p, err := regexp.Compile("(?i)" + pattern)
	var wrong *syntax.Error
	if errors.As(err, &wrong) {
		// What it quotes has our own beginning.
		return nil, errors.New(i18n.T("this is not a regular expression: %s", wrong.Code))
	}
	if err != nil {
		return nil, errors.New(i18n.T("this is not a regular expression: %s", err))
	}
	return p, nil
}

// longest is how long before its end a request may have begun: the longest time
// limit, and an hour for what comes after it and for clocks.
const longest = queue.MaxTimeout*time.Second + time.Hour

// back is what the service is asked for on the way back through the log. It
// finds all of a request's records that fit, and with [lookup] any other.
func (f Filter) back() dbus.Filter {
	q := f.recent()
	q.Since, q.Text = f.Since, f.Text
	if f.Text != "" && !f.Since.IsZero() {
		// Only the record of a request's start may have that text.
		q.Since = f.Since.Add(-longest)
	}
	return q
}

// recent is what the service is asked for of what came since: a request may fit
// that ended then by what its start says, which was before.
func (f Filter) recent() dbus.Filter {
	q := dbus.Filter{Qube: f.Qube}
	asked := []string{"final"}
	if f.starts() {
		asked = requests
	}
	switch f.Kind {
	case Done, Failed, Ended:
		q.Events = asked
	case Denied:
		q.Events = slices.Concat(refusals, asked)
	case Decision:
		q.Events = decisions
	}
	if f.Kind == Ended && !f.starts() {
		q.States = []string{"cancelled"}
	}
	return q
}

// starts reports that the service is asked for the starts of requests with
// their ends: all of them when many will be rows, or what they say decides.
// Where it does not, and few are, each start is looked up.
func (f Filter) starts() bool {
	return f.Kind == "" || f.Kind == Done || f.Text != "" || f.Pattern != nil
}

// fits decides on a row: a request has its command, and its end where there is
// one.
func (f Filter) fits(r dbus.Record) bool {
	return (f.Qube == "" || r.Qube == f.Qube) && !r.Time.Before(f.Since) && f.kindFits(r) && f.textFits(r) &&
		(f.Pattern == nil || slices.ContainsFunc([]string{r.Command, r.Detail, r.Reason, r.Qube, r.ID}, f.Pattern.MatchString))
}

// textFits is as the service has it.
func (f Filter) textFits(r dbus.Record) bool {
	if f.Text == "" {
		return true
	}
	text := lower(f.Text)
	return slices.ContainsFunc([]string{r.Command, r.Detail, r.Who, r.ID, r.Qube, r.Reason}, func(s string) bool {
		return strings.Contains(lower(s), text)
	})
}

// lower has the letters of ASCII in lower case, and leaves all others.
func lower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}

func (f Filter) kindFits(r dbus.Record) bool {
	zero := r.State == "exit" && r.Exit != nil && *r.Exit == 0
	switch f.Kind {
	case Every:
		return true
	case Done:
		return r.Event == "final" && zero
	case Failed:
		return r.Event == "final" && !zero && r.State != "denied" && r.State != "cancelled"
	case Ended:
		return r.Event == "final" && r.State == "cancelled"
	case Denied:
		return r.State == "denied" || slices.Contains(refusals, r.Event)
	case Decision:
		return slices.Contains(decisions, r.Event)
	}
	return words.Row(r.Event) || r.Event == "run"
}
