package daemon

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/spool"
	"qvmremote/queue"
)

// endRoom bounds what one end of an output takes in a line of the log, where a
// byte may become six. Four of them leave a quarter of the line to all else;
// only of more than 2 KiB of nothing but controls does it cut anything.
const endRoom = 12 << 10

// excerpt puts the ends of the outputs into the final record.
func (r *request) excerpt(f *audit.Record) error {
	n := r.q.x.settings().Excerpt
	out, outErr := endsOf(r.out, n)
	err, errErr := endsOf(r.err, n)
	f.Escaped = !out.valid() || !err.valid()
	f.OutHead, f.OutTail, f.OutLeft = text(out.head, f.Escaped), text(out.tail, f.Escaped), out.left
	f.ErrHead, f.ErrTail, f.ErrLeft = text(err.head, f.Escaped), text(err.tail, f.Escaped), err.left
	return errors.Join(outErr, errErr)
}

// ends is what is kept of one output.
type ends struct {
	head, tail []byte
	left       int64 // bytes between them
}

func (e ends) valid() bool { return utf8.Valid(e.head) && utf8.Valid(e.tail) }

// endsOf reads at most n bytes of each end, whole characters only.
func endsOf(o *spool.Output, n int64) (e ends, err error) {
	size := o.Size()
	if n <= 0 || size == 0 {
		return e, nil
	}
	head, err := readEnd(o, 0, min(n, size))
	if err != nil {
		return e, err
	}
	e.head = front(head, n < size)
	from := max(int64(len(e.head)), size-n)
	tail, err := readEnd(o, from, size-from)
	if err != nil {
		return ends{}, err
	}
	e.tail = back(tail, from > int64(len(e.head)))
	e.left = size - int64(len(e.head)+len(e.tail))
	return e, nil
}

func readEnd(o *spool.Output, from, n int64) ([]byte, error) {
	b := make([]byte, n)
	if got, err := o.ReadAt(b, from); got < len(b) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("cannot read an output for the record: %w", err)
	}
	return b, nil
}

// front is as much of b's beginning as there is room for; cut says that more
// bytes follow b, so that its last character may be a part of one.
func front(b []byte, cut bool) []byte {
	room, n := endRoom, 0
	for n < len(b) {
		if cut && !utf8.FullRune(b[n:]) {
			break
		}
		_, size := utf8.DecodeRune(b[n:])
		if room -= cost(b[n : n+size]); room < 0 {
			break
		}
		n += size
	}
	return b[:n]
}

// back is the same of b's end; cut says that bytes precede b.
func back(b []byte, cut bool) []byte {
	for i := 0; cut && i < utf8.UTFMax-1 && len(b) > 0 && !utf8.RuneStart(b[0]); i++ {
		b = b[1:]
	}
	room, from := endRoom, len(b)
	for from > 0 {
		_, size := utf8.DecodeLastRune(b[:from])
		if room -= cost(b[from-size : from]); room < 0 {
			break
		}
		from -= size
	}
	return b[from:]
}

// cost is the most that one character takes in a line of the log, be it escaped
// by [text], by JSON, or by both.
func cost(c []byte) int {
	if len(c) > 1 {
		return 3 * len(c)
	}
	if c[0] < ' ' || c[0] > '~' || c[0] == '"' || c[0] == '\\' {
		return 6
	}
	return 1
}

// text is an end as the log keeps it: as it is, or with each line escaped.
func text(b []byte, escaped bool) string {
	if !escaped {
		return string(b)
	}
	lines := strings.Split(string(b), "\n")
	for i, line := range lines {
		lines[i] = queue.Escape(line, 0)
	}
	return strings.Join(lines, "\n")
}
