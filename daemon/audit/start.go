package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLossRecords bounds what one start writes about damage; the last of them
// then spans the rest.
const maxLossRecords = 64

// start is what an Open learns from the disk.
type start struct {
	l     *Log
	segs  []segment
	head  head
	lost  []span // records unreadable, missing or changed
	known []span // recorded as lost already
	tail  int    // bad lines at the very end

	leaves []tlog.Hash // of the newest segment's lines; zero where there is none
}

// start reads the log, repairs it and signs its head.
func (l *Log) start(ctx context.Context) error {
	s := &start{l: l}
	var err error
	if s.segs, err = listSegments(l.dir); err != nil {
		return err
	}
	headErr := s.readHead()
	if len(s.segs) == 0 {
		err = s.begin()
	} else {
		err = s.read(ctx)
	}
	if err != nil {
		return err
	}
	s.judge(headErr)
	l.fillReserve()
	if s.tail > 0 {
		// The next records must not stand among lines whose number is in doubt.
		l.stand(NoRotation, l.rotate(max(l.now().Format(time.DateOnly), l.cur.date)))
		if err := l.brokenBy(); err != nil {
			return err
		}
	}
	if err := l.payOwed(); err != nil && l.brokenBy() != nil {
		return err
	}
	if err := l.finish(); err != nil && l.brokenBy() != nil {
		return err
	}
	return nil
}

// readHead reads the signed head. What a head says that another key signed is
// not believed.
func (s *start) readHead() error {
	h, err := readHead(s.l.dir, s.l.key.known)
	if err != nil {
		return err
	}
	s.head = h
	s.l.head = h
	return nil
}

// begin makes the first segment.
func (s *start) begin() error {
	if err := s.l.tree.Truncate(0); err != nil {
		return err
	}
	return s.l.rotate(s.l.now().Format(time.DateOnly))
}

// read gives the Fold all it needs, and the Log the end of the newest segment
// and the tree.
func (s *start) read(ctx context.Context) error {
	from, loaded := s.beginning()
	next := s.segs[from].first
	for i, seg := range s.segs[from:] {
		if err := ctx.Err(); err != nil {
			return err
		}
		if seg.first > next {
			s.lose(span{next, seg.first})
		}
		var err error
		if next, err = s.readSegment(seg, loaded && i == 0); err != nil {
			return err
		}
	}
	if s.tail > 0 {
		more := next + int64(s.tail)
		if s.head.n > next {
			more = min(more, s.head.n)
		}
		s.lose(span{next, more})
		next = more
	}
	s.l.n = next
	if err := s.settle(ctx); err != nil {
		return err
	}
	return s.l.cutTail()
}

// beginning finds the segment to read from and loads the state that it
// carries; loaded is false when the reading begins with nothing. A segment
// whose state is damaged is passed over for an older one.
func (s *start) beginning() (from int, loaded bool) {
	newest := len(s.segs) - 1
	c, err := firstRecord(s.segs[newest])
	for err != nil && newest > 0 {
		newest--
		c, err = firstRecord(s.segs[newest])
	}
	from = newest
	for from > 0 && c.Oldest >= 0 && s.segs[from].first > c.Oldest {
		from--
	}
	for ; from >= 0; from-- {
		c, err := firstRecord(s.segs[from])
		if err == nil {
			err = s.l.fold.Load(c.Carry)
		}
		if err == nil {
			return from, true
		}
		s.l.report(Damaged, "the state at the beginning of %s cannot be read: %v", s.segs[from].path, err)
	}
	return 0, false
}

// firstRecord reads the carry that a segment begins with.
func firstRecord(seg segment) (Record, error) {
	f, err := openRegular(seg.path, os.O_RDONLY, 0)
	if err != nil {
		return Record{}, err
	}
	defer f.Close()
	e, err := newScan(f, seg, 0).step()
	if err == nil {
		err = e.bad
	}
	if err == nil && (e.rec.Event != CarryEvent || e.rec.Seq != seg.first) {
		err = errors.New("the segment does not begin with a carry record")
	}
	return e.rec, err
}

// readSegment applies the records of one segment and returns the seq after its
// last. The first is left out when its state was loaded. The newest segment
// becomes the Log's current one.
func (s *start) readSegment(seg segment, loaded bool) (int64, error) {
	newest := seg == s.segs[len(s.segs)-1]
	flag := os.O_RDONLY
	if newest {
		flag = os.O_RDWR
	}
	f, err := openRegular(seg.path, flag, 0)
	if err != nil {
		return 0, err
	}
	if newest {
		s.l.cur, s.l.file = seg, f
	} else {
		defer f.Close()
	}
	sc := newScan(f, seg, 0)
	for {
		e, err := sc.step()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return 0, fmt.Errorf("cannot read %s: %w", seg.path, err)
		}
		s.take(e, newest, loaded && e.rec.Seq == seg.first)
	}
	if newest {
		s.l.end, s.l.carried, s.tail = sc.r.off, int64(sc.head), sc.bad
	}
	return sc.next, nil
}

func (s *start) take(e entry, newest, loaded bool) {
	if e.missing != (span{}) {
		s.lose(e.missing)
	}
	if e.bad != nil {
		return // the next good record says which seqs are missing
	}
	if newest {
		at := e.rec.Seq - s.segs[len(s.segs)-1].first
		for int64(len(s.leaves)) < at {
			s.leaves = append(s.leaves, tlog.Hash{})
		}
		s.leaves = append(s.leaves, tlog.RecordHash(e.line))
	}
	if e.rec.Event == Loss {
		s.known = append(s.known, span{e.rec.Oldest, e.rec.Oldest + e.rec.Count})
	}
	if !loaded {
		s.l.fold.Apply(e.rec)
	}
}

func (s *start) lose(sp span) { s.lost = appendSpan(s.lost, sp) }

// judge turns what was read into findings and into the records about them.
func (s *start) judge(headErr error) {
	l := s.l
	fresh := l.n <= 1 && s.head.n == 0
	if fresh {
		l.report(New, "no audit log was there; a new one was begun")
	}
	if l.key.fresh && !fresh {
		l.report(ChangedKey, "the signing key of the audit log was missing; a new one was made")
		l.owed = append(l.owed, Record{Event: Recovered, Way: "boot", Detail: "a new signing key was made, the old one was missing"})
	}
	if headErr != nil && !fresh {
		l.report(NoHead, "%v", headErr)
		l.owed = append(l.owed, lossRecord(l.n, 0, "the signed head is missing or not signed by the key of the log"))
	}
	if short := s.head.n - s.kept(); short > 0 {
		detail := fmt.Sprintf("the log had %d records and its signed head says %d", s.kept(), s.head.n)
		l.report(Short, "%s", detail)
		l.owed = append(l.owed, lossRecord(s.kept(), short, detail))
	}
	var lost []span
	for _, sp := range s.lost {
		_, unknown := divide(sp, s.known)
		lost = append(lost, unknown...)
	}
	slices.SortFunc(lost, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	if k := len(lost); k > maxLossRecords {
		lost[maxLossRecords-1].to = lost[k-1].to
		lost = lost[:maxLossRecords]
	}
	for _, sp := range lost {
		detail := fmt.Sprintf("%v unreadable, missing or changed", sp)
		l.report(Damaged, "%s", detail)
		l.owed = append(l.owed, lossRecord(sp.from, sp.to-sp.from, detail))
	}
}

// kept is the number of records found; a log begun anew kept none.
func (s *start) kept() int64 {
	if len(s.segs) == 0 {
		return 0
	}
	return s.l.n
}

func lossRecord(first, count int64, detail string) Record {
	return Record{Event: Loss, Way: "boot", Oldest: first, Count: count, Detail: detail}
}
