package client

import (
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"qvmremote/queue"
)

// Event is one thing that happened: a request of the history, or a line of the
// log that is about something else.
type Event struct {
	Time time.Time
	Past *Past  // nil for a line of the log
	Line string // of the log, without its time; see [queue.Escape]
}

var submitLine = regexp.MustCompile(`^SUBMIT id=([A-Za-z0-9._-]+) `)

// Recent lists the newest n events of log and history, the newest first, by the
// moments at which they happened. A request that is in the history is no second
// event for its line in the log.
func (c *Client) Recent(n int) ([]Event, error) {
	lines, err := c.Log(n)
	if err != nil {
		return nil, err
	}
	requests, err := c.issued(n)
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for _, r := range requests {
		known[r.id] = true
	}
	var events []Event
	for _, l := range lines {
		at, text, ok := SplitLine(l)
		if !ok {
			continue
		}
		if m := submitLine.FindStringSubmatch(text); m != nil && known[m[1]] {
			continue
		}
		events = append(events, Event{Time: at, Line: text})
	}
	keys := c.keys()
	slices.SortFunc(requests, func(a, b issued) int { return cmp.Or(b.at.Compare(a.at), cmp.Compare(b.id, a.id)) })
	for _, r := range requests[:min(n, len(requests))] {
		p := c.past(filepath.Join(c.Layout.History(), r.day, r.id), r.id, keys)
		p.Issued = r.at
		events = append(events, Event{Time: r.at, Past: &p})
	}
	slices.Reverse(events[:len(events)-min(n, len(requests))]) // of one second, the last line first
	slices.SortStableFunc(events, func(a, b Event) int { return b.Time.Compare(a.Time) })
	return events[:min(n, len(events))], nil
}

// issued is a request of the history and when it was made.
type issued struct {
	day, id string
	at      time.Time
}

// issued lists at least the n newest requests: whole days, and one day more,
// for the days are those of a clock that may have been set to another zone.
func (c *Client) issued(n int) ([]issued, error) {
	var list []issued
	enough := false
	days, err := c.Days()
	if err != nil {
		return nil, err
	}
	for _, day := range days {
		entries, err := c.Entries(day)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			list = append(list, issued{day, e.ID, c.issuedAt(day, e.ID)})
		}
		if enough {
			break
		}
		enough = len(list) >= n
	}
	return list, nil
}

// issuedAt is what a request's header says, or else its id, or its day.
func (c *Client) issuedAt(day, id string) time.Time {
	if b, err := queue.ReadSmall(filepath.Join(c.Layout.History(), day, id, "request"), queue.MaxHeader); err == nil {
		if r, err := queue.ReadOwnRequest(b); err == nil {
			return time.Unix(r.Issued, 0)
		}
	}
	if at, err := time.ParseInLocation("20060102-150405", id[:min(len(id), 15)], time.Local); err == nil {
		return at
	}
	at, _ := time.ParseInLocation(time.DateOnly, day, time.Local)
	return at
}

const lineLayout = "2006-01-02T15:04:05-07:00"

// SplitLine parts a line of the log, "[time] text", and reports whether it is one;
// text is all of another. dom0 writes its lines without a zone: they are taken for
// this qube's.
func SplitLine(line string) (at time.Time, text string, ok bool) {
	rest, bracket := strings.CutPrefix(line, "[")
	stamp, text, found := strings.Cut(rest, "] ")
	if !bracket || !found {
		return time.Time{}, line, false
	}
	at, err := time.Parse(time.RFC3339, stamp)
	if err != nil {
		at, err = time.ParseInLocation("2006-01-02T15:04:05", stamp, time.Local)
	}
	if err != nil {
		return time.Time{}, line, false
	}
	return at, text, true
}
