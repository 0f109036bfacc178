package audit

import (
	"bytes"
	"fmt"
	"io"
)

// backLines gives the complete lines of a file, the last one first. It holds
// blocks of the file, and more only for a line that is longer than a block.
type backLines struct {
	f      io.ReaderAt
	off    int64  // of buf[0] in the file
	buf    []byte // not given out yet; empty, or ends with the LF of the next line to give
	starts []int  // where the complete lines in buf begin, ascending
	spare  []byte // the buffer before buf, to be used again
}

const backBlock = 128 << 10

// newBackLines begins before end, which must be 0 or follow an LF.
func newBackLines(f io.ReaderAt, end int64) *backLines { return &backLines{f: f, off: end} }

// prev returns the line before, without its LF, and where it begins; both the
// line and the one before it are valid until the next call. io.EOF says that
// there is none. A line above the bound for its place comes as its beginning,
// with errLongLine.
func (b *backLines) prev() (line []byte, at int64, err error) {
	for len(b.starts) == 0 {
		switch {
		case b.off == 0:
			return nil, 0, io.EOF
		case len(b.buf) > maxCarryLine+1:
			return b.skip()
		}
		if err := b.fill(); err != nil {
			return nil, 0, err
		}
	}
	last := len(b.starts) - 1
	start := b.starts[last]
	line, at = b.buf[start:len(b.buf)-1], b.off+int64(start)
	b.starts, b.buf = b.starts[:last], b.buf[:start]
	if len(line) > maxCarryLine || at > 0 && len(line) > maxLine {
		return line[:256], at, errLongLine
	}
	return line, at, nil
}

// fill puts the bytes before off in front of buf: a block, or for a long line
// as many as there are already, so that no byte is copied often, but no more
// than the longest line needs.
func (b *backLines) fill() error {
	n := int(min(b.off, int64(max(backBlock, min(len(b.buf), maxCarryLine+2-len(b.buf))))))
	size := n + len(b.buf)
	next := b.spare[:0]
	if cap(next) < size || cap(next) > 8*backBlock && size <= 2*backBlock {
		next = make([]byte, 0, max(size, 2*backBlock))
	}
	next = next[:size]
	if err := readFull(b.f, next[:n], b.off-int64(n)); err != nil {
		return err
	}
	copy(next[n:], b.buf)
	b.spare, b.buf, b.off = b.buf[:0], next, b.off-int64(n)
	if cap(b.spare) > 8*backBlock {
		b.spare = nil
	}
	if b.off == 0 {
		b.starts = append(b.starts, 0)
	}
	for i := 0; ; {
		j := bytes.IndexByte(next[i:n], '\n')
		if i += j + 1; j < 0 || i == size {
			return nil
		}
		b.starts = append(b.starts, i)
	}
}

// skip passes over a line that no record can be as long as.
func (b *backLines) skip() (line []byte, at int64, err error) {
	at, err = lineStart(b.f, b.off)
	if err != nil {
		return nil, 0, err
	}
	b.off, b.buf, b.spare = at, nil, nil
	line = make([]byte, 256)
	if err := readFull(b.f, line, at); err != nil {
		return nil, 0, err
	}
	return line, at, errLongLine
}

// lineStart is where the line begins that holds the byte before end: behind the
// last LF before end, or 0.
func lineStart(f io.ReaderAt, end int64) (int64, error) {
	buf := make([]byte, backBlock)
	for end > 0 {
		n := min(end, backBlock)
		if err := readFull(f, buf[:n], end-n); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(buf[:n], '\n'); i >= 0 {
			return end - n + int64(i) + 1, nil
		}
		end -= n
	}
	return 0, nil
}

// readFull reads len(p) bytes; that the file ends before is an error.
func readFull(f io.ReaderAt, p []byte, off int64) error {
	n, err := f.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%d of %d bytes at %d: %w", n, len(p), off, err)
}

// place is the end of a part of the file, made of whole lines, that holds all
// records below bound and few others. It looks at some lines only and takes
// their numbers to ascend; where damage broke that, it is too far up or down
// by what stands out of order.
func place(f io.ReaderAt, size, bound int64) (int64, error) {
	lo, hi, end := int64(0), size, int64(-1)
	for hi-lo > backBlock {
		mid := lo + (hi-lo)/2
		seq, at, ok, err := numberedLine(f, mid, hi)
		if err != nil {
			return 0, err
		}
		switch {
		case !ok:
			hi = mid
		case seq >= bound:
			hi, end = mid, at
		default:
			lo = at + 1
		}
	}
	if end >= 0 {
		return end, nil
	}
	return lineStart(f, size)
}

// numberedLine finds the first line that begins above from and below to and
// shows its number.
func numberedLine(f io.ReaderAt, from, to int64) (seq, at int64, ok bool, err error) {
	const most = 32 // bytes of a line that leadingSeq looks at
	buf := make([]byte, 8<<10)
	for from < to {
		n, err := f.ReadAt(buf, from)
		if err != nil && err != io.EOF {
			return 0, 0, false, err
		}
		rest, next := buf[:n], from+int64(n)
		for i := bytes.IndexByte(rest, '\n'); i >= 0; i = bytes.IndexByte(rest, '\n') {
			at := next - int64(len(rest)-i-1)
			if at >= to {
				return 0, 0, false, nil
			}
			if rest = rest[i+1:]; len(rest) < most && n == len(buf) {
				next = at - 1 // again, with what follows
				break
			}
			if seq, ok := leadingSeq(rest); ok {
				return seq, at, true, nil
			}
		}
		if n < len(buf) {
			return 0, 0, false, nil
		}
		from = next
	}
	return 0, 0, false, nil
}
