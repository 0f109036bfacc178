package audit

import (
	"errors"
	"fmt"
	"io"
)

// backScan is [scan] from the end of a segment to its beginning: numbers must
// fall, and a bad line gets the number that scan gives it.
//
// With want set it parses only what want asks for, as long as the numbers at
// the front of the lines fall by one. The first line that breaks this makes it
// go back to where it last was sure and judge every line: so the lines that
// want asks for come out the same with and without it.
type backScan struct {
	f     io.ReaderAt
	seg   segment
	lines *backLines
	hi    int64 // what stands before must be lower
	bad   int64 // number of the bad lines here, -1: not known
	want  func(line []byte) bool

	guessed bool  // lines below sureAt were not parsed
	sureAt  int64 // up to here every line was judged
	sureHi  int64 // hi there
	quiet   int64 // lines that begin above it were given out before
}

// newBackScan begins in front of offset at, which follows a line; all numbers
// must be below end.
func newBackScan(f io.ReaderAt, seg segment, at, end int64) *backScan {
	return &backScan{f: f, seg: seg, lines: newBackLines(f, at), hi: end, bad: -1, sureAt: at, sureHi: end, quiet: at}
}

// step fills e with the entry before; its line is valid until the next call.
// io.EOF says that there is none.
func (s *backScan) step(e *entry) error {
	for {
		line, at, err := s.lines.prev()
		if err != nil && !errors.Is(err, errLongLine) {
			return err
		}
		if s.want != nil && err == nil && s.inTurn(line) && !s.want(line) {
			s.guessed = true
			s.hi--
			*e = entry{rec: Record{Seq: s.hi}, line: line, skipped: true}
			return nil
		}
		rec, bad := s.judge(line, err)
		if s.guessed && (bad != nil || rec.Seq != s.hi-1) {
			s.want, s.guessed = nil, false
			s.lines, s.hi, s.quiet = newBackLines(s.f, s.sureAt), s.sureHi, at
			continue
		}
		if bad == nil {
			s.hi, s.bad = rec.Seq, -1
			s.guessed, s.sureAt, s.sureHi = false, at, rec.Seq
		}
		if at > s.quiet {
			continue
		}
		if bad != nil {
			if rec, err = s.unreadable(at); err != nil {
				return err
			}
		}
		*e = entry{rec: rec, line: line, bad: bad}
		return nil
	}
}

// inTurn says that the number at the front of line is the expected one.
func (s *backScan) inTurn(line []byte) bool {
	seq, ok := leadingSeq(line)
	return ok && seq == s.hi-1 && seq >= s.seg.first
}

// judge parses a line and says with an error what makes it no record here.
func (s *backScan) judge(line []byte, err error) (Record, error) {
	if err != nil {
		return Record{}, err
	}
	rec, err := parseLine(line)
	if err != nil {
		return Record{}, err
	}
	if seq, ok := leadingSeq(line); ok && seq != rec.Seq {
		return Record{}, fmt.Errorf("record says both seq %d and seq %d", seq, rec.Seq)
	}
	if rec.Seq < s.seg.first || rec.Seq >= s.hi {
		return Record{}, fmt.Errorf("record says seq %d where one from %d to below %d must stand", rec.Seq, s.seg.first, s.hi)
	}
	return rec, nil
}

// unreadable stands for the bad line at offset at: it has the number after the
// next good one before it. Each run of bad lines is looked through once more
// for that.
func (s *backScan) unreadable(at int64) (Record, error) {
	if s.bad < 0 {
		s.bad = s.seg.first
		for lines := newBackLines(s.f, at); ; {
			line, _, err := lines.prev()
			if err == io.EOF {
				break
			}
			if err != nil && !errors.Is(err, errLongLine) {
				return Record{}, err
			}
			if rec, err := s.judge(line, err); err == nil {
				s.bad = rec.Seq + 1
				break
			}
		}
	}
	return Record{Seq: s.bad, Event: Unreadable}, nil
}
