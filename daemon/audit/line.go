package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Bounds of a line without its LF, in bytes. A carry holds the folded state of
// every qube and has a bound of its own.
const (
	maxLine      = 64 << 10
	maxCarryLine = 32 << 20
)

// ErrTooLong is what an Update gets whose record does not fit into a line even
// after its free text was cut.
var ErrTooLong = errors.New("audit record is too long")

// cutMark ends free text that was cut to make a record fit.
const cutMark = " [cut]"

// encodeLine gives the line of r without LF: JSON on one line in which nothing
// but printable characters stands, so that a terminal can be shown the file.
func encodeLine(r Record) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("cannot encode audit record %q: %w", r.Event, err)
	}
	return escapeUnprintable(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// escapeUnprintable writes what JSON leaves alone (DEL, C1 controls, direction
// marks) as \u escapes. In JSON such characters stand only inside strings.
func escapeUnprintable(line []byte) []byte {
	if plain(line) {
		return line
	}
	out := make([]byte, 0, len(line)+64)
	for len(line) > 0 {
		c, n := utf8.DecodeRune(line)
		switch {
		case unicode.IsPrint(c):
			out = append(out, line[:n]...)
		case c > 0xffff:
			hi, lo := utf16.EncodeRune(c)
			out = fmt.Appendf(out, `\u%04x\u%04x`, hi, lo)
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
		line = line[n:]
	}
	return out
}

func plain(line []byte) bool {
	for _, c := range line {
		if c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// fitLine is [encodeLine] for a record that must keep the bound: the excerpt is
// left out, then Command and Detail are cut until it does.
func fitLine(r Record) ([]byte, error) {
	limit := maxLine
	if r.Event == CarryEvent {
		limit = maxCarryLine
	}
	for {
		line, err := encodeLine(r)
		if err != nil || len(line) <= limit {
			return line, err
		}
		switch {
		case r.hasExcerpt():
			r = r.WithoutExcerpt()
		case len(r.Command) > 128:
			r.Command = cutText(r.Command)
		case len(r.Detail) > 128:
			r.Detail = cutText(r.Detail)
		default:
			return nil, fmt.Errorf("%w: %q has %d bytes, the bound is %d", ErrTooLong, r.Event, len(line), limit)
		}
	}
}

// cutText keeps about half of s, whole characters only.
func cutText(s string) string {
	n := len(s) / 2
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + cutMark
}

// parseLine reads one line without LF. Unknown fields are of a later version
// and are passed over.
func parseLine(line []byte) (Record, error) {
	r, ok := parseFast(line)
	if !ok {
		r = Record{}
		if err := json.Unmarshal(line, &r); err != nil {
			return Record{}, fmt.Errorf("not an audit record: %w", err)
		}
	}
	if r.Event == "" || r.Seq < 0 {
		return Record{}, errors.New("not an audit record: no event or no seq")
	}
	return r, nil
}

// leadingSeq reads the seq off a line as encodeLine writes it, without parsing
// the rest; ok is false when the line begins otherwise.
func leadingSeq(line []byte) (seq int64, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"seq":`))
	if !ok {
		return 0, false
	}
	for i, c := range rest {
		switch {
		case c >= '0' && c <= '9' && i < 18:
			seq = seq*10 + int64(c-'0')
		default:
			return seq, c == ',' && i > 0
		}
	}
	return 0, false
}

var errLongLine = errors.New("line is longer than any record")

// lineReader gives the complete lines of a file that may be growing. It holds
// at most one line in memory.
type lineReader struct {
	f      io.ReaderAt
	off    int64  // of the first byte not given out yet
	buf    []byte // buf[lo:hi] are the bytes from off on
	lo, hi int
}

const readSize = 128 << 10

// next returns the next line without its LF, valid until the next call. io.EOF
// says that no complete line is there; what is there stays and a later call
// may find it grown. A line above limit bytes comes as its beginning, with
// errLongLine.
func (r *lineReader) next(limit int) ([]byte, error) {
	seen := 0
	for {
		if i := bytes.IndexByte(r.buf[r.lo+seen:r.hi], '\n'); i >= 0 {
			line := r.buf[r.lo : r.lo+seen+i]
			r.lo += len(line) + 1
			r.off += int64(len(line)) + 1
			if len(line) > limit {
				return line[:256], errLongLine
			}
			return line, nil
		}
		seen = r.hi - r.lo
		if seen > limit {
			return r.skip()
		}
		n, err := r.fill()
		if n == 0 {
			r.lo, r.hi = 0, 0 // read it again later, whole: it may have been cut and written anew
			if err == nil {
				err = io.ErrNoProgress
			}
			return nil, err
		}
	}
}

func (r *lineReader) fill() (int, error) {
	if have := r.hi - r.lo; r.hi == len(r.buf) || len(r.buf) > 8*readSize && have < readSize {
		size := max(readSize, 2*have)
		buf := r.buf
		if r.lo == 0 || len(r.buf) > 8*readSize {
			buf = make([]byte, size)
		}
		copy(buf, r.buf[r.lo:r.hi])
		r.buf, r.lo, r.hi = buf, 0, have
	}
	n, err := r.f.ReadAt(r.buf[r.hi:], r.off+int64(r.hi-r.lo))
	r.hi += n
	return n, err
}

// skip passes over a line that is too long. Without an LF after it nothing is
// passed over.
func (r *lineReader) skip() ([]byte, error) {
	start := bytes.Clone(r.buf[r.lo : r.lo+256])
	at := r.off + int64(r.hi-r.lo)
	r.lo, r.hi = 0, 0
	buf := make([]byte, readSize)
	for {
		n, err := r.f.ReadAt(buf, at)
		if i := bytes.IndexByte(buf[:n], '\n'); i >= 0 {
			r.off = at + int64(i) + 1
			return start, errLongLine
		}
		if n == 0 {
			return nil, err
		}
		at += int64(n)
	}
}
