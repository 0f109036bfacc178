package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// Commit is what an Update put on the disk.
type Commit struct {
	Seqs []int64 // of the records added, in order
	Head string  // a signed note that covers them and all before
}

// Tx is one Update. An error leaves none of its records; a crash may leave the
// first few of them, so that each must be true without the next.
type Tx struct {
	l       *Log
	records []Record
	lines   []byte
	sizes   []int
	brief   bool // excerpts are left out
	err     error
}

// Add appends a record and returns its seq; Seq and Time are set here. Free
// text that is too long for a line is cut; a record that is too long even so
// makes the Update fail with ErrTooLong.
func (tx *Tx) Add(r Record) int64 {
	r.Seq = tx.l.n + int64(len(tx.records))
	r.Time = tx.l.now()
	if tx.brief {
		r = r.WithoutExcerpt()
	}
	line, err := fitLine(r)
	if err == nil {
		// The Fold is given what a later start will read, to the letter.
		r, err = parseLine(line)
	}
	if err != nil {
		tx.err = errors.Join(tx.err, err)
	}
	tx.records = append(tx.records, r)
	tx.lines = append(append(tx.lines, line...), '\n')
	tx.sizes = append(tx.sizes, len(line)+1)
	return tx.l.n + int64(len(tx.records)) - 1
}

// shorten leaves the excerpts out; false when there are none.
func (tx *Tx) shorten() bool {
	had := slices.ContainsFunc(tx.records, func(r Record) bool { return r.hasExcerpt() })
	if had {
		records := tx.records
		*tx = Tx{l: tx.l, brief: true}
		for _, r := range records {
			tx.Add(r)
		}
	}
	return had && tx.err == nil
}

// RequireReserve returns an error that wraps ErrReserve unless the room for
// final records is set aside. A claim must not be written without it.
func (tx *Tx) RequireReserve() error { return tx.l.ReserveReady() }

func (l *Log) now() time.Time { return l.o.Now().UTC().Truncate(time.Microsecond) }

const (
	waiting int32 = iota
	taken
	abandoned
)

type call struct {
	ctx   context.Context
	fn    func(*Tx) error
	after func() error // with the records on the disk and the lock still held
	final bool
	state atomic.Int32
	done  chan answer
}

type answer struct {
	commit Commit
	err    error
}

func (c *call) leave() bool { return c.state.CompareAndSwap(waiting, abandoned) }

// Update appends the records that fn adds. fn runs with the lock held, after
// all that other processes appended was applied to the Fold; it decides on the
// Fold, must not block, and must not call the Log. When it returns an error
// nothing is written and Update returns that error. When Update returns nil the
// records are on the disk. Updates at the same time share one fsync. An fn that
// adds nothing costs none; it only sees what other processes appended.
//
// Once fn has run, Update waits for the disk, whatever becomes of ctx: the
// answer is never in doubt.
func (l *Log) Update(ctx context.Context, fn func(*Tx) error) (Commit, error) {
	return l.do(ctx, &call{fn: fn})
}

// UpdateFinal is Update for what must be recorded even when the disk is full:
// it may use up the reserve, and then leaves excerpts out, so that what a qube
// has its commands print takes no room from the records of others.
func (l *Log) UpdateFinal(ctx context.Context, fn func(*Tx) error) (Commit, error) {
	return l.do(ctx, &call{fn: fn, final: true})
}

func (l *Log) do(ctx context.Context, c *call) (Commit, error) {
	ctx, cancel := context.WithTimeout(ctx, l.o.LockWait)
	defer cancel()
	c.ctx, c.done = ctx, make(chan answer, 1)
	select {
	case <-l.closing:
		return Commit{}, ErrClosed
	default:
	}
	select {
	case l.calls <- c:
	case <-ctx.Done():
		return Commit{}, fmt.Errorf("audit log is busy: %w", ctx.Err())
	case <-l.stopped:
		return Commit{}, ErrClosed
	}
	select {
	case a := <-c.done:
		return a.commit, a.err
	case <-ctx.Done():
		if c.leave() {
			return Commit{}, fmt.Errorf("audit log is busy or locked by another process: %w", ctx.Err())
		}
	case <-l.stopped:
		if c.leave() {
			return Commit{}, ErrClosed
		}
	}
	a := <-c.done
	return a.commit, a.err
}
