package client

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"time"

	"qvmremote/queue"
)

// Stage is where a request in the queue is.
type Stage string

// The stages, in the order in which a request passes them.
const (
	StagePending  Stage = "pending"  // dom0 has not taken it
	StageRunning  Stage = "running"  // dom0 took it: see Queued.Word
	StageAnswered Stage = "answered" // its answer lies there, and nobody came for it
	StageLeftover Stage = "leftover" // files that belong to no whole request
)

// Queued is a request that something in the queue belongs to, or a file there
// that belongs to none.
type Queued struct {
	ID        string // "" for a file that is none of a request's
	Name      string // of that file, any; see [queue.Escape]
	Stage     Stage
	Word      queue.Word // when running; see [queue.Escape]
	Cancelled bool       // a cancel of it waits for dom0
	Since     time.Time  // of its last step
	Age       time.Duration
	Size      int64  // of all its files
	Command   string // its beginning, printable; "" for one of another client
	Own       bool   // this qube's history has it, so it can be cancelled
	Stale     bool   // all of it belongs to nothing that could still be answered
}

// Queued lists the queue by requests, what runs first, then what waits, each the
// oldest first. It reads at most max files, and tells how many more there are.
func (c *Client) Queued(ctx context.Context, max int) (list []Queued, more int, err error) {
	files, more, err := c.Files(ctx, max)
	if err != nil {
		return nil, 0, err
	}
	whole := map[string]int{} // files of a request in pending
	at := map[string]int{}
	for _, f := range files {
		if f.ID == "" {
			list = append(list, Queued{Name: f.Name, Stage: StageLeftover, Since: c.Now().Add(-f.Age), Age: f.Age, Size: f.Size, Stale: f.Stale})
			continue
		}
		i, known := at[f.ID]
		if !known {
			i = len(list)
			at[f.ID] = i
			list = append(list, Queued{ID: f.ID, Name: f.ID, Stage: StageLeftover, Age: f.Age, Stale: true})
		}
		list[i].add(f)
		if f.Folder == queue.FolderPending {
			if whole[f.ID]++; whole[f.ID] == 2 && list[i].Stage == StageLeftover {
				list[i].Stage = StagePending
			}
		}
	}
	for i := range list {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		c.describe(&list[i])
	}
	slices.SortStableFunc(list, func(a, b Queued) int {
		return cmp.Or(cmp.Compare(order[a.Stage], order[b.Stage]), a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	return list, more, nil
}

var order = map[Stage]int{StageRunning: 0, StagePending: 1, StageAnswered: 2, StageLeftover: 3}

// add counts a file to its request.
func (q *Queued) add(f File) {
	q.Size += f.Size
	q.Age = min(q.Age, f.Age)
	q.Stale = q.Stale && f.Stale
	switch f.Folder {
	case queue.FolderRunning:
		q.Word = f.Word
		if q.Stage != StageAnswered {
			q.Stage = StageRunning
		}
	case queue.FolderResults:
		if f.Name == f.ID+queue.Exit || f.Name == f.ID+queue.Denied {
			q.Stage = StageAnswered
		} else if q.Stage != StageAnswered {
			q.Stage = StageRunning // its output
		}
	case queue.FolderCancel:
		q.Cancelled = true
	}
}

// describe adds what the history knows of a request.
func (c *Client) describe(q *Queued) {
	q.Since = c.Now().Add(-q.Age)
	if q.ID == "" {
		return
	}
	t, err := c.Ticket(q.ID)
	if err != nil {
		return
	}
	q.Own = true
	q.Command = summary(readHead(filepath.Join(t.folder, "command"), 8*summaryLength), summaryLength)
	if q.Stage == StageRunning && c.ended(t) && !exists(c.Layout.Running(q.ID)) {
		q.Stage = StageAnswered // its end is filed already
	}
}

// Collect files the answers that nobody came for, as Wait does, of at most max
// files in the queue. What cannot be believed stays where it is.
func (c *Client) Collect(ctx context.Context, max int) error {
	list, _, err := c.Queued(ctx, max)
	if err != nil {
		return err
	}
	for _, q := range list {
		if q.Stage != StageAnswered || !q.Own {
			continue
		}
		t, err := c.Ticket(q.ID)
		if err != nil {
			continue // it is gone
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		_, _ = c.Wait(ctx, t, Events{}) // what it could not file is where it was
	}
	return ctx.Err()
}
