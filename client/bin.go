package client

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"qvmremote/queue"
)

// Beginnings of the names under which deleted entries lie in their day's
// folder, where nobody lists them. What is to go is whole until it is renamed
// once more, and then it can only go.
const (
	asideMark = ".deleted-"
	goingMark = ".going-"
)

// Deleted reports whether what goes by name in a day's folder of the history was
// deleted, and is there because it can still be put back, or is about to go.
func Deleted(name string) bool {
	return strings.HasPrefix(name, asideMark) || strings.HasPrefix(name, goingMark)
}

// Bin holds the entries that were deleted from the history and can be put back.
// They lie aside, whole, in the folder they were in, until Empty removes them.
// What a program that ended without it left aside is put back by the next one.
// Its methods wait for each other.
type Bin struct {
	c    *Client
	lock *os.File // shared by all programs that hold something aside
	mu   sync.Mutex
	held map[Entry]bool
}

// ErrOpenRequest says that a request may still be answered.
var ErrOpenRequest = errors.New("it has not ended: cancel it first")

func (c *Client) binLock() string { return filepath.Join(c.Layout.History(), ".deleting") }

// OpenBin readies the history for deleting. Close it in the end.
func (c *Client) OpenBin(ctx context.Context) (*Bin, error) {
	f, _, err := queue.OpenForWrite(c.binLock())
	if err != nil {
		return nil, fmt.Errorf("nothing can be deleted here: %w", Explain(err))
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		c.putBack(ctx) // nobody else holds anything
	}
	for { // who has it alone has it for a moment
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			break
		}
		select {
		case <-ctx.Done():
			_ = f.Close()
			return nil, fmt.Errorf("nothing can be deleted now: another program tidies the history: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("nothing can be deleted here: %w", err)
	}
	return &Bin{c: c, lock: f, held: map[Entry]bool{}}, nil
}

// Delete sets entries aside. It returns those it did, also with an error, which
// says of the first other one why not. One that is gone already counts as done.
func (b *Bin) Delete(ctx context.Context, entries []Entry) (done []Entry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		rerr := b.delete(e)
		if rerr == nil {
			done = append(done, e)
		} else if err == nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = fmt.Errorf("%s was not deleted: %w", e.ID, Explain(rerr))
		}
	}
	return done, err
}

func (b *Bin) delete(e Entry) error {
	if t, err := b.c.ticketOf(e); err == nil {
		switch {
		case b.c.ended(t):
			b.c.file(t) // what nobody came for would lie in the queue for ever
		case !b.c.over(t.Request, 0):
			return ErrOpenRequest
		}
	}
	if err := os.Rename(b.c.folderOf(e), b.c.aside(e, asideMark)); err != nil {
		return err
	}
	b.held[e] = true
	return nil
}

func (c *Client) aside(e Entry, mark string) string {
	return filepath.Join(c.Layout.History(), e.Day, mark+e.ID)
}

// Restore puts entries back. It returns those it did, also with an error.
func (b *Bin) Restore(ctx context.Context, entries []Entry) (done []Entry, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return done, err
		}
		if !b.held[e] {
			continue
		}
		if rerr := b.c.restore(e); rerr != nil {
			err = fmt.Errorf("%s was not put back: %w", e.ID, Explain(rerr))
			continue
		}
		delete(b.held, e)
		done = append(done, e)
	}
	return done, err
}

func (c *Client) restore(e Entry) error {
	if c.There(e) {
		return fmt.Errorf("it is there: %w", fs.ErrExist)
	}
	return os.Rename(c.aside(e, asideMark), c.folderOf(e))
}

// Empty removes entries that lie aside for good, all of them for nil. Those it
// could not finish before ctx ended are past being put back, and go later.
func (b *Bin) Empty(ctx context.Context, entries []Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if entries == nil {
		for e := range b.held {
			entries = append(entries, e)
		}
	}
	var errs []error
	var going []Entry
	for _, e := range entries { // the quick part first
		if !b.held[e] {
			continue
		}
		if err := b.c.doom(e); err != nil {
			errs = append(errs, fmt.Errorf("%s was not removed: %w", e.ID, Explain(err)))
			continue
		}
		delete(b.held, e)
		going = append(going, e)
	}
	for _, e := range going {
		if err := ctx.Err(); err != nil {
			return errors.Join(append(errs, err)...)
		}
		if err := b.c.finish(e); err != nil {
			errs = append(errs, fmt.Errorf("%s was not removed: %w", e.ID, Explain(err)))
		}
	}
	return errors.Join(errs...)
}

// Close empties the bin and lets go of the history.
func (b *Bin) Close(ctx context.Context) error {
	err := b.Empty(ctx, nil)
	return errors.Join(err, b.lock.Close())
}

// doom renames what lies aside, so that no half of it is ever put back.
func (c *Client) doom(e Entry) error {
	err := os.Rename(c.aside(e, asideMark), c.aside(e, goingMark))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// finish removes what is past being put back.
func (c *Client) finish(e Entry) error {
	going := c.aside(e, goingMark)
	err := os.RemoveAll(going)
	_ = os.Remove(filepath.Dir(going)) // the day, if nothing else is in it
	return err
}

// recoverBin is putBack where no program holds anything aside.
func (c *Client) recoverBin(ctx context.Context) {
	f, _, err := queue.OpenRegular(c.binLock())
	if err != nil {
		return // nothing was ever deleted
	}
	defer f.Close() // and with it the lock
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		c.putBack(ctx)
	}
}

// putBack restores what a program that ended left aside, and finishes what it
// was about to remove, until ctx ends: the next one does the rest.
func (c *Client) putBack(ctx context.Context) {
	days, _ := c.Days()
	for _, day := range days {
		names, _ := c.names(filepath.Join(c.Layout.History(), day), Deleted)
		slices.Sort(names) // what lies aside comes first
		for _, name := range names {
			if ctx.Err() != nil {
				return
			}
			if id, ok := strings.CutPrefix(name, asideMark); ok && queue.ValidID(id) {
				_ = c.restore(Entry{day, id}) // what cannot be put back stays for the next time
			} else if id, ok := strings.CutPrefix(name, goingMark); ok && queue.ValidID(id) {
				_ = c.finish(Entry{day, id})
			}
		}
	}
}
