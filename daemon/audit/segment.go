package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Names in the folder of the log.
const (
	lockName    = "lock"
	keyName     = "key"
	pubName     = "key.pub"
	treeName    = "tree"
	headName    = "head"
	reserveName = "reserve"
)

const segmentSuffix = ".jsonl"

// segment is one file of records: those from first on, until the first of the
// segment after it.
type segment struct {
	path  string
	date  string // UTC day it was begun, never before the day of the segment before it
	first int64
}

func newSegment(dir, date string, first int64) segment {
	return segment{filepath.Join(dir, fmt.Sprintf("%s-%012d%s", date, first, segmentSuffix)), date, first}
}

// parseSegment reads a segment's name; ok is false for any other file.
func parseSegment(dir, name string) (s segment, ok bool) {
	base, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok || len(base) < len(time.DateOnly)+2 {
		return segment{}, false
	}
	date, digits := base[:len(time.DateOnly)], base[len(time.DateOnly)+1:]
	if _, err := time.Parse(time.DateOnly, date); err != nil {
		return segment{}, false
	}
	first, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || first < 0 {
		return segment{}, false
	}
	s = newSegment(dir, date, first)
	return s, filepath.Base(s.path) == name
}

// listSegments gives the segments in dir in the order of their records.
func listSegments(dir string) ([]segment, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var segs []segment
	for _, name := range names {
		if s, ok := parseSegment(dir, name); ok {
			segs = append(segs, s)
		}
	}
	slices.SortFunc(segs, func(a, b segment) int {
		if a.first != b.first {
			return cmp.Compare(a.first, b.first)
		}
		return strings.Compare(a.date, b.date)
	})
	return segs, nil
}

// openRegular opens a regular file of the log; a link, device or FIFO in its
// place is refused.
func openRegular(path string, flag int, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, mode)
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err == nil && !st.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a regular file", path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// readSmall reads a regular file of at most limit bytes.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := openRegular(path, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return data, err
}

// span is the records from, from+1 … to-1.
type span struct{ from, to int64 }

// appendSpan adds sp, to the last one where it goes on right behind it.
func appendSpan(spans []span, sp span) []span {
	if k := len(spans); k > 0 && spans[k-1].to == sp.from {
		spans[k-1].to = sp.to
		return spans
	}
	return append(spans, sp)
}

func (s span) String() string {
	if s.to-s.from == 1 {
		return fmt.Sprintf("record %d", s.from)
	}
	return fmt.Sprintf("records %d to %d", s.from, s.to-1)
}

// entry is one line of a segment, or a hole before it.
type entry struct {
	rec     Record // seq only when skipped
	line    []byte // valid during the call
	skipped bool   // below what was asked for: not parsed
	bad     error  // the line is no record
	missing span   // seqs that should have stood before this record
}

// scan reads the complete lines of one segment. A record says its own seq, so
// damage ends with the next good line.
type scan struct {
	seg  segment
	r    lineReader
	from int64 // records below are not parsed
	next int64 // lowest seq that may follow
	bad  int   // bad lines since the last good one
	head int   // bytes of the first line, its LF included
}

func newScan(f io.ReaderAt, seg segment, from int64) *scan {
	return &scan{seg: seg, r: lineReader{f: f}, from: from, next: seg.first}
}

// step returns the next entry; io.EOF when no further complete line is there,
// and then a later call may find one.
func (s *scan) step() (entry, error) {
	limit, first := maxLine, s.r.off == 0
	if first {
		limit = maxCarryLine
	}
	line, err := s.r.next(limit)
	if err != nil && !errors.Is(err, errLongLine) {
		return entry{}, err
	}
	if first {
		s.head = int(s.r.off)
	}
	if seq, ok := leadingSeq(line); err == nil && ok && seq < s.from && seq >= s.next {
		return s.good(entry{rec: Record{Seq: seq}, line: line, skipped: true}), nil
	}
	var rec Record
	if err == nil {
		rec, err = parseLine(line)
	}
	if err == nil && rec.Seq < s.next {
		err = fmt.Errorf("record says seq %d where %d or more must stand", rec.Seq, s.next)
	}
	if err != nil {
		s.bad++
		return entry{line: line, bad: err, rec: Record{Seq: s.next, Event: Unreadable}}, nil
	}
	return s.good(entry{rec: rec, line: line}), nil
}

func (s *scan) good(e entry) entry {
	if e.rec.Seq > s.next {
		e.missing = span{s.next, e.rec.Seq}
	}
	s.next, s.bad = e.rec.Seq+1, 0
	return e
}

// forget drops what was read ahead: it may be cut and written anew.
func (s *scan) forget() { s.r.lo, s.r.hi = 0, 0 }
