package client

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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
	days, _ := c.Days()
	for _, day := range days {
		t, err := c.ticketOf(Entry{day, id})
		if errors.Is(err, errNoRequest) {
			continue
		}
		return t, err
	}
	return nil, ErrUnknownID
}

// errNoRequest says that an entry's request cannot be read.
var errNoRequest = errors.New("its request cannot be read")

// ticketOf reads the request of one entry.
func (c *Client) ticketOf(e Entry) (*Ticket, error) {
	folder := c.folderOf(e)
	header, err := queue.ReadSmall(filepath.Join(folder, "request"), queue.MaxHeader)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoRequest, err)
	}
	r, err := queue.ReadOwnRequest(header)
	if err != nil || r.ID != e.ID {
		return nil, fmt.Errorf("the history of %s is damaged: %w", e.ID, ErrUnknownID)
	}
	t := &Ticket{Request: r, Digest: queue.DigestOf(header), folder: folder, legacy: exists(filepath.Join(folder, legacyMark))}
	_, t.key, _ = queue.Check{ID: e.ID, Qube: r.Qube, Now: time.Unix(r.Issued, 0)}.Request(header, c.keys()...)
	// The time that passed is the wall clock's; a jump of it may shorten or
	// lengthen the waits, but not beyond a fresh request's.
	age := min(max(c.Now().Sub(time.Unix(r.Issued, 0)), 0), queue.MaxWithin+queue.MaxTimeout*time.Second)
	t.since = time.Now().Add(-age)
	return t, nil
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
// never a request that may still be answered, until ctx ends.
func (c *Client) prune(ctx context.Context) {
	var entries int
	var bytes int64
	oldest := c.Now().Add(-c.Keeping.Age).Format("2006-01-02")
	days, _ := c.Days()
	for _, day := range days {
		list, _ := c.Entries(day)
		for _, e := range list {
			if ctx.Err() != nil {
				return
			}
			folder := c.folderOf(e)
			entries++
			bytes += sizeOf(folder)
			over := day < oldest || entries > c.Keeping.Entries || bytes > c.Keeping.Bytes
			if over && (exists(filepath.Join(folder, "exit")) || exists(filepath.Join(folder, "denied")) || c.stale(e.ID, sweepMargin)) {
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
