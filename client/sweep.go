package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"qvmremote/queue"
)

const (
	// sweepMargin keeps what the sweep removes by itself safe from clocks that
	// are off and from whoever comes back late for an answer.
	sweepMargin = 24 * time.Hour
	// cleanMargin is enough where a person asked.
	cleanMargin = time.Minute
	// orphanAge is how long a script may lie without its header; a client
	// writes both within milliseconds.
	orphanAge = 10 * time.Minute
	sweepPace = time.Hour
)

// File is one file of the queue.
type File struct {
	Folder queue.Folder
	Name   string // any; see [queue.Escape]
	ID     string // the request it belongs to; "" if the name is none of the queue's
	Size   int64
	Age    time.Duration
	Word   queue.Word // running: see [queue.Escape]
	Stale  bool       // belongs to nothing that could still be answered

	path string
}

// folders are the queue's, in the order in which they are shown and cleaned:
// headers go before what they name.
func (c *Client) folders() []struct {
	Folder queue.Folder
	Dir    string
} {
	l := c.Layout
	return []struct {
		Folder queue.Folder
		Dir    string
	}{{queue.FolderPending, l.PendingDir()}, {queue.FolderRunning, l.RunningDir()}, {queue.FolderResults, l.ResultsDir()},
		{queue.FolderCancel, l.CancelDir()}, {queue.FolderStdin, l.StdinDir()}}
}

// Files lists the queue: at most max files, and how many more there are, which
// are counted by their names alone.
func (c *Client) Files(ctx context.Context, max int) (list []File, more int, err error) {
	for _, f := range c.folders() {
		first := len(list)
		over, err := c.each(ctx, f.Folder, f.Dir, cleanMargin, max-first, func(f File) { list = append(list, f) })
		more += over
		if err != nil {
			return nil, 0, fmt.Errorf("cannot read the queue: %w", err)
		}
		slices.SortFunc(list[first:], func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	}
	return list, more, nil
}

// each reads one folder in pieces, for it may hold any number of names, until
// ctx ends. It looks at max files at most, which may cost a search of the history
// each, and returns how many more there are.
func (c *Client) each(ctx context.Context, folder queue.Folder, dir string, margin time.Duration, max int, use func(File)) (more int, err error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer d.Close()
	verdicts := map[string]verdict{} // by id
	for {
		entries, err := d.ReadDir(256)
		for _, e := range entries {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
			if max <= 0 {
				more++
				continue
			}
			if info, err := e.Info(); err == nil {
				max--
				use(c.inspect(folder, filepath.Join(dir, e.Name()), info, margin, verdicts))
			}
		}
		if errors.Is(err, io.EOF) {
			return more, nil
		}
		if err != nil {
			return 0, err
		}
		if len(verdicts) > 10*queue.MaxNames {
			clear(verdicts)
		}
	}
}

// verdict is what a request's own header says about its time.
type verdict struct{ known, over bool }

func (c *Client) inspect(folder queue.Folder, path string, info fs.FileInfo, margin time.Duration, verdicts map[string]verdict) File {
	f := File{Folder: folder, Name: info.Name(), Size: info.Size(), Age: max(c.Now().Sub(info.ModTime()), 0), path: path}
	if queue.ValidName(folder, f.Name) && info.Mode().IsRegular() {
		f.ID = idOf(folder, f.Name)
	}
	if folder == queue.FolderRunning && f.ID != "" {
		if b, err := queue.ReadSmall(path, 64); err == nil {
			f.Word = queue.Word(b)
		}
	}
	v, seen := verdicts[f.ID]
	if !seen {
		var header queue.Request
		if header, v.known = c.header(f.ID); v.known {
			v.over = c.over(header, margin)
		}
		verdicts[f.ID] = v
	}
	switch {
	case f.ID == "": // half-written, or no file of the queue at all
		f.Stale = f.Age > margin+sweepMargin
	case v.known:
		f.Stale = v.over
	case folder == queue.FolderPending && !exists(c.Layout.Header(f.ID)):
		f.Stale = f.Age > margin+orphanAge
	default: // not ours: as long as any request may take
		f.Stale = f.Age > margin+queue.MaxWithin+queue.MaxTimeout*time.Second
	}
	return f
}

// idOf is the request that a file with a valid name belongs to.
func idOf(folder queue.Folder, name string) string {
	var endings []string
	switch folder {
	case queue.FolderPending:
		endings = []string{queue.Auth, ".cmd"}
	case queue.FolderResults:
		endings = []string{queue.Out, queue.Err, queue.Meta, queue.Auth, queue.Denied, queue.Exit}
	}
	for _, e := range endings {
		if id, ok := strings.CutSuffix(name, e); ok {
			return id
		}
	}
	return name
}

// header finds the times of a request of this client: in the queue or in the
// history.
func (c *Client) header(id string) (queue.Request, bool) {
	if id == "" {
		return queue.Request{}, false
	}
	if b, err := queue.ReadSmall(c.Layout.Header(id), queue.MaxHeader); err == nil {
		if r, err := queue.ReadOwnRequest(b); err == nil {
			return r, true
		}
	}
	if t, err := c.Ticket(id); err == nil {
		return t.Request, true
	}
	return queue.Request{}, false
}

// stale reports whether the time of a request is over, by its own header; one
// without a header has no time left.
func (c *Client) stale(id string, margin time.Duration) bool {
	r, known := c.header(id)
	return !known || c.over(r, margin)
}

func (c *Client) over(r queue.Request, margin time.Duration) bool {
	return c.Now().After(time.Unix(r.Expires, 0).Add(time.Duration(r.Timeout)*time.Second + c.Waits.Answer + margin))
}

// Clean removes from the queue what belongs to nothing that could still be
// answered, or with all everything, requests under way included. An answer
// that nobody came for goes to the history. It returns how many files went, also
// with an error, such as that ctx ended.
func (c *Client) Clean(ctx context.Context, all bool) (int, error) {
	n, err := c.sweep(ctx, cleanMargin, all)
	c.note(fmt.Sprintf("QUEUE-CLEAN removed=%d", n))
	return n, err
}

func (c *Client) sweep(ctx context.Context, margin time.Duration, all bool) (int, error) {
	var removed int
	var errs []error
	for _, folder := range c.folders() {
		_, err := c.each(ctx, folder.Folder, folder.Dir, margin, math.MaxInt, func(f File) {
			if !f.Stale && !all {
				return
			}
			if err := c.discard(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, err)
				return
			}
			removed++
		})
		if ctx.Err() != nil {
			return removed, fmt.Errorf("the queue was not looked through to its end: %w", ctx.Err())
		}
		errs = append(errs, err)
	}
	return removed, errors.Join(errs...)
}

// discard removes one file, or files it where it is part of an answer.
func (c *Client) discard(f File) error {
	if f.Folder == queue.FolderResults && f.ID != "" {
		if t, err := c.Ticket(f.ID); err == nil && c.ended(t) {
			for _, n := range filed {
				if strings.HasSuffix(f.Name, n.ending) {
					return os.Rename(f.path, filepath.Join(t.folder, n.name))
				}
			}
		}
	}
	return os.RemoveAll(f.path)
}

// Tidy sweeps the queue and prunes the history, at most once an hour. Where ctx
// ends before that is done the next one does the rest.
func (c *Client) Tidy(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	mark := filepath.Join(c.Layout.History(), ".tidied")
	if info, err := os.Lstat(mark); err == nil {
		if age := c.Now().Sub(info.ModTime()); age >= 0 && age < sweepPace {
			return
		}
	}
	if queue.Publish(mark, nil) != nil {
		return // a full disk is no time to guess what may go
	}
	_, _ = c.sweep(ctx, sweepMargin, false)
	c.recoverBin(ctx)
	c.prune(ctx)
	if ctx.Err() != nil {
		_ = os.Remove(mark)
	}
}
