package client

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"qvmremote/queue"
)

// ErrUnknownID says that the history has no request of that id.
var ErrUnknownID = errors.New("no such request in the history. To list them: qvm-remote history")

// Ticket finds a request that was submitted before, also by another process.
func (c *Client) Ticket(id string) (*Ticket, error) {
	if !queue.ValidID(id) {
		return nil, ErrUnknownID
	}
	for _, day := range c.days() {
		folder := filepath.Join(c.Layout.History(), day, id)
		header, err := queue.ReadSmall(filepath.Join(folder, "request"), queue.MaxHeader)
		if err != nil {
			continue
		}
		r, err := queue.ReadOwnRequest(header)
		if err != nil || r.ID != id {
			return nil, fmt.Errorf("the history of %s is damaged: %w", id, ErrUnknownID)
		}
		t := &Ticket{Request: r, Digest: queue.DigestOf(header), folder: folder, legacy: exists(filepath.Join(folder, legacyMark))}
		_, t.key, _ = queue.Check{ID: id, Qube: r.Qube, Now: time.Unix(r.Issued, 0)}.Request(header, c.keys()...)
		// The time that passed is the wall clock's; a jump of it may shorten or
		// lengthen the waits, but not beyond a fresh request's.
		age := min(max(c.Now().Sub(time.Unix(r.Issued, 0)), 0), queue.MaxWithin+queue.MaxTimeout*time.Second)
		t.since = time.Now().Add(-age)
		return t, nil
	}
	return nil, ErrUnknownID
}

// days lists the history's days, the newest first.
func (c *Client) days() []string {
	entries, _ := os.ReadDir(c.Layout.History())
	var days []string
	for _, e := range entries {
		if _, err := time.Parse("2006-01-02", e.Name()); err == nil && e.IsDir() {
			days = append(days, e.Name())
		}
	}
	slices.SortFunc(days, func(a, b string) int { return cmp.Compare(b, a) })
	return days
}

// requests lists one day's ids, the newest first.
func (c *Client) requests(day string) []string {
	entries, _ := os.ReadDir(filepath.Join(c.Layout.History(), day))
	var ids []string
	for _, e := range entries {
		if e.IsDir() && queue.ValidID(e.Name()) {
			ids = append(ids, e.Name())
		}
	}
	slices.SortFunc(ids, func(a, b string) int { return cmp.Compare(b, a) })
	return ids
}

// file moves an answer from the results to the history; a ping's goes. It
// reports whether it was there to be moved.
func (c *Client) file(t *Ticket) bool {
	moved := false
	for _, n := range filed {
		from := c.Layout.Result(t.ID, n.ending)
		info, err := os.Lstat(from)
		if err != nil {
			continue
		}
		end := n.ending == queue.Exit || n.ending == queue.Denied
		if t.folder != "" && info.Mode().IsRegular() {
			err = os.Rename(from, filepath.Join(t.folder, n.name))
		} else {
			err = os.Remove(from)
		}
		moved = moved || end && err == nil
	}
	return moved
}

// Forget removes a request that has ended from the history, for those that are
// steps of something larger and hold its data once more.
func (c *Client) Forget(t *Ticket) {
	if t.folder == "" || !c.ended(t) {
		return
	}
	_ = os.RemoveAll(t.folder) // what cannot be removed is pruned one day
	_ = os.Remove(filepath.Dir(t.folder))
}

// Past is one line of the history.
type Past struct {
	ID       string
	Issued   time.Time
	State    queue.State // "" = no answer yet
	Exit     int         // as Outcome.Exit; -1 without an answer
	Duration time.Duration
	Command  string // its beginning, printable
	Signed   bool   // the line is what dom0 signed, with a key that is still here
}

// History lists the last n requests, the newest first.
func (c *Client) History(n int) []Past {
	var list []Past
	keys := c.keys()
	for _, day := range c.days() {
		for _, id := range c.requests(day) {
			if len(list) >= n {
				return list
			}
			list = append(list, c.past(filepath.Join(c.Layout.History(), day, id), id, keys))
		}
	}
	return list
}

func (c *Client) past(folder, id string, keys []queue.Key) Past {
	p := Past{ID: id, Exit: -1}
	if b, err := queue.ReadSmall(filepath.Join(folder, "request"), queue.MaxHeader); err == nil {
		if r, err := queue.ReadOwnRequest(b); err == nil {
			p.Issued = time.Unix(r.Issued, 0)
		}
	}
	if b, err := queue.ReadSmall(filepath.Join(folder, "command"), queue.MaxScript); err == nil {
		p.Command = summary(b, 200)
	}
	if header, err := queue.ReadSmall(filepath.Join(folder, "result"), queue.MaxHeader); err == nil {
		for _, k := range keys {
			if r, err := queue.OpenResult(header, k.ResultKey()); err == nil && r.ID == id {
				o := outcome(r)
				p.State, p.Exit, p.Duration, p.Signed = o.State, o.Exit, o.Duration, true
				return p
			}
		}
	}
	p.unsigned(folder)
	return p
}

// unsigned reads what an older release left, or an answer whose key is gone.
func (p *Past) unsigned(folder string) {
	if exists(filepath.Join(folder, "denied")) {
		p.State, p.Exit = queue.StateDenied, queue.ExitDenied
		return
	}
	b, err := queue.ReadSmall(filepath.Join(folder, "exit"), 16)
	if err != nil {
		return
	}
	if n, number := exitNumber(b); number {
		p.State, p.Exit = queue.StateExit, n
	}
	if b, err := queue.ReadSmall(filepath.Join(folder, "meta"), queue.MaxHeader); err == nil {
		p.Duration = metaDuration(b)
	}
}

// metaDuration reads the line duration_ms= of a .meta file; 0 without one.
func metaDuration(meta []byte) time.Duration {
	for line := range strings.SplitSeq(string(meta), "\n") {
		v, ok := strings.CutPrefix(line, "duration_ms=")
		if ms, err := strconv.ParseInt(v, 10, 64); ok && err == nil && ms >= 0 && ms < 1e12 {
			return time.Duration(ms) * time.Millisecond
		}
	}
	return 0
}

// prune removes what is over the limits of Keeping, the oldest first, and
// never a request that may still be answered.
func (c *Client) prune() {
	var entries int
	var bytes int64
	oldest := c.Now().Add(-c.Keeping.Age).Format("2006-01-02")
	for _, day := range c.days() {
		for _, id := range c.requests(day) {
			folder := filepath.Join(c.Layout.History(), day, id)
			entries++
			bytes += sizeOf(folder)
			over := day < oldest || entries > c.Keeping.Entries || bytes > c.Keeping.Bytes
			if over && (exists(filepath.Join(folder, "exit")) || exists(filepath.Join(folder, "denied")) || c.stale(id, sweepMargin)) {
				_ = os.RemoveAll(folder)
			}
		}
		_ = os.Remove(filepath.Join(c.Layout.History(), day)) // only if empty now
	}
}

func sizeOf(folder string) (n int64) {
	entries, _ := os.ReadDir(folder)
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}
