package audit

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// Read calls fn with each record from seq from on, in order, and with its line
// (valid during the call). It needs no lock, writes nothing, and works on a
// copy of the folder. It ends with the records that the signed head covers:
// one that is still being written is not shown. A line that is no record comes
// as an Unreadable record. An error of fn ends the reading and is returned.
func Read(ctx context.Context, dir string, from int64, fn func(r Record, line []byte) error) error {
	r := &reader{dir: dir, next: from}
	defer r.close()
	return r.read(ctx, fn)
}

// ReadLast gives the last n records, the oldest first.
func ReadLast(ctx context.Context, dir string, n int) ([]Record, error) {
	end, err := endOf(dir)
	if err != nil || n <= 0 {
		return nil, err
	}
	var out []Record
	err = Read(ctx, dir, max(0, end-int64(n)), func(r Record, _ []byte) error {
		out = append(out, r)
		return nil
	})
	return out[max(0, len(out)-n):], err
}

// endOf is the number of records, from the head, or counted where there is
// none.
func endOf(dir string) (int64, error) {
	if n := limitOf(dir); n != math.MaxInt64 {
		return n, nil
	}
	segs, err := listSegments(dir)
	if err != nil || len(segs) == 0 {
		return 0, err
	}
	end := int64(0)
	r := &reader{dir: dir, next: segs[len(segs)-1].first}
	defer r.close()
	err = r.read(context.Background(), func(rec Record, _ []byte) error {
		end = rec.Seq + 1
		return nil
	})
	return end, err
}

// limitOf is the number of records that readers may show: those that the head
// covers, or all where no head can be read.
func limitOf(dir string) int64 {
	known, err := readVerifiers(dir)
	if err != nil {
		return math.MaxInt64
	}
	h, err := readHead(dir, known)
	if err != nil {
		return math.MaxInt64
	}
	return h.n
}

// Follow is Read that goes on: it waits for further records until ctx is done
// or fn returns an error, and returns that.
func Follow(ctx context.Context, dir string, from int64, fn func(r Record, line []byte) error) error {
	w := newWatch(dir)
	defer w.close()
	r := &reader{dir: dir, next: from}
	defer r.close()
	for {
		if err := r.read(ctx, fn); err != nil {
			return err
		}
		if err := w.wait(ctx); err != nil {
			return err
		}
	}
}

// reader reads records in order and remembers where it is.
type reader struct {
	dir  string
	next int64 // lowest seq not shown yet
	file *os.File
	scan *scan
}

func (r *reader) close() {
	if r.file != nil {
		_ = r.file.Close()
	}
}

// read shows all there is. It can be called again when more is there.
func (r *reader) read(ctx context.Context, fn func(Record, []byte) error) error {
	limit := limitOf(r.dir)
	for {
		if r.scan != nil {
			err := r.readSegment(ctx, limit, fn)
			// What is below limit was there when limit was read; only for that
			// may another segment be looked into.
			if err != nil || r.scan.next >= limit {
				return err
			}
		}
		more, err := r.advance()
		if err != nil || !more {
			return err
		}
	}
}

// readSegment shows what the open segment has below limit.
func (r *reader) readSegment(ctx context.Context, limit int64, fn func(Record, []byte) error) error {
	for count := 0; r.scan.next < limit; count++ {
		if count%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, err := r.scan.step()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the audit log: %w", err)
		}
		if e.skipped || e.rec.Seq < r.next || e.rec.Seq >= limit {
			continue
		}
		if err := fn(e.rec, e.line); err != nil {
			return err
		}
		if e.bad == nil {
			r.next = e.rec.Seq + 1
		}
	}
	r.scan.forget()
	return nil
}

// advance opens the segment that holds r.next, or the one after the open one.
func (r *reader) advance() (bool, error) {
	segs, err := listSegments(r.dir)
	if err != nil {
		return false, fmt.Errorf("cannot list the audit log: %w", err)
	}
	at := -1
	for i, s := range segs {
		if r.scan == nil && (s.first <= r.next || at < 0) {
			at = i
		}
		if r.scan != nil && s.first > r.scan.seg.first {
			at = i
			break
		}
	}
	if at < 0 {
		return false, nil
	}
	f, err := openRegular(segs[at].path, os.O_RDONLY, 0)
	if missing(err) {
		return false, fmt.Errorf("the oldest audit records were just removed; try again: %w", err)
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the audit log: %w", err)
	}
	r.close()
	r.file, r.scan = f, newScan(f, segs[at], r.next)
	return true, nil
}
