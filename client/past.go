package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"qvmremote/queue"
)

// Entry names one request in the history: the day it is filed under, and its
// id. Both passed their checks where the client lists them.
type Entry struct{ Day, ID string }

// Compare orders entries as the history is listed: the newest first.
func (e Entry) Compare(other Entry) int {
	return cmp.Or(cmp.Compare(other.Day, e.Day), cmp.Compare(other.ID, e.ID))
}

// ValidDay reports whether name is a folder of the history.
func ValidDay(name string) bool {
	_, err := time.Parse(time.DateOnly, name)
	return err == nil
}

func (c *Client) folderOf(e Entry) string { return filepath.Join(c.Layout.History(), e.Day, e.ID) }

// Find looks for the entry of an id.
func (c *Client) Find(id string) (Entry, error) {
	if !queue.ValidID(id) {
		return Entry{}, ErrUnknownID
	}
	days, err := c.Days()
	for _, day := range days {
		if e := (Entry{day, id}); c.There(e) {
			return e, nil
		}
	}
	if err == nil {
		err = ErrUnknownID
	}
	return Entry{}, err
}

// There reports whether the history has that entry.
func (c *Client) There(e Entry) bool {
	info, err := os.Lstat(c.folderOf(e))
	return err == nil && info.IsDir()
}

// Days lists the history's days, the newest first.
func (c *Client) Days() ([]string, error) {
	return c.names(c.Layout.History(), ValidDay)
}

// Entries lists one day's requests, the newest first, by the names of their
// folders alone.
func (c *Client) Entries(day string) ([]Entry, error) {
	ids, err := c.names(filepath.Join(c.Layout.History(), day), queue.ValidID)
	list := make([]Entry, len(ids))
	for i, id := range ids {
		list[i] = Entry{day, id}
	}
	return list, err
}

// names lists the folders in dir that are to be shown, the last name first. Of
// a folder that is not there it is none; a symlink to one is no folder.
func (c *Client) names(dir string, valid func(string) bool) ([]string, error) {
	info, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a folder", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	found, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the history: %w", err)
	}
	names := make([]string, 0, len(found))
	for _, f := range slices.Backward(found) { // ReadDir sorts
		if f.IsDir() && valid(f.Name()) {
			names = append(names, f.Name())
		}
	}
	return names, nil
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
	Legacy   bool   // it was answered by version 1, which signs nothing
	Over     bool   // its time is over: what has no answer by now gets none
	Damaged  bool   // its request cannot be read
}

// History lists the last n requests, the newest first.
func (c *Client) History(n int) []Past {
	var list []Past
	keys := c.keys()
	days, _ := c.Days()
	for _, day := range days {
		entries, _ := c.Entries(day)
		for _, e := range entries {
			if len(list) >= n {
				return list
			}
			list = append(list, c.past(c.folderOf(e), e.ID, keys))
		}
	}
	return list
}

// Past reads the lines of these entries, until ctx ends. The line of one that is
// gone is damaged.
func (c *Client) Past(ctx context.Context, entries []Entry) ([]Past, error) {
	keys := c.keys()
	list := make([]Past, 0, len(entries))
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		list = append(list, c.past(c.folderOf(e), e.ID, keys))
	}
	return list, nil
}

// Command reads the whole command of an entry.
func (c *Client) Command(e Entry) ([]byte, error) {
	return queue.ReadSmall(filepath.Join(c.folderOf(e), "command"), queue.MaxScript)
}

const summaryLength = 200

func (c *Client) past(folder, id string, keys []queue.Key) Past {
	p := Past{ID: id, Exit: -1, Legacy: exists(filepath.Join(folder, legacyMark))}
	request, err := queue.ReadSmall(filepath.Join(folder, "request"), queue.MaxHeader)
	var asked queue.Request
	if err == nil {
		if asked, err = queue.ReadOwnRequest(request); err == nil {
			p.Issued, p.Over = time.Unix(asked.Issued, 0), c.over(asked, 0)
		}
	}
	p.Damaged = err != nil
	p.Command = summary(readHead(filepath.Join(folder, "command"), 8*summaryLength), summaryLength)
	if header, err := queue.ReadSmall(filepath.Join(folder, "result"), queue.MaxHeader); err == nil {
		for _, k := range keys {
			r, err := queue.OpenResult(header, k.ResultKey())
			if err == nil && r.ID == id && r.Request == queue.DigestOf(request) {
				o := outcome(r)
				p.State, p.Exit, p.Duration = o.State, o.Exit, o.Duration
				// The whole of it is for Detail; this costs little.
				p.Signed = sized(folder, "command", asked.Body) &&
					(p.State == queue.StateDenied || sized(folder, "out", r.Out) && sized(folder, "err", r.Err))
				return p
			}
		}
	}
	p.unsigned(folder)
	return p
}

// sized reports whether an output is as long as dom0 signed.
func sized(folder, name string, sum queue.Sum) bool {
	info, err := os.Lstat(filepath.Join(folder, name))
	if err != nil {
		return sum.Size == 0
	}
	return info.Mode().IsRegular() && info.Size() == sum.Size
}

// readHead is at most the first max bytes of a regular file; none of anything
// else.
func readHead(path string, max int) []byte {
	f, _, err := queue.OpenRegular(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, max)
	n, _ := f.ReadAt(b, 0)
	return b[:n]
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
