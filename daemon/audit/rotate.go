package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"qvmremote/daemon/disk"
)

// catchUp applies what other processes appended. A process that died in the
// middle of a line left a tail: it is cut and recorded.
//
// Anything else that does not fit means that the log was changed behind the
// back of a running process. Then nothing more is accepted: only a start reads
// with the patience that damage needs.
func (l *Log) catchUp() error {
	if err := l.brokenBy(); err != nil {
		return err
	}
	before := l.n
	for {
		if err := l.readOn(); err != nil {
			return l.breakDown(err)
		}
		next, more, err := l.following()
		if err != nil {
			return l.breakDown(err)
		}
		if !more {
			break
		}
		if err := l.enter(next); err != nil {
			return l.breakDown(err)
		}
	}
	if err := l.cutTail(); err != nil {
		return l.breakDown(err)
	}
	if err := l.checkTree(); err != nil {
		return l.breakDown(err)
	}
	if l.n == before {
		return nil
	}
	return l.adoptForeign()
}

// checkTree makes sure that the tree open here is the one in the folder: a
// start of another process may have made it again.
func (l *Log) checkTree() error {
	path := filepath.Join(l.dir, treeName)
	if !sameFile(l.tree, path) {
		f, err := openRegular(path, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("the tree of the audit log is gone: %w", err)
		}
		_ = l.tree.Close()
		l.tree = f
	}
	st, err := l.tree.Stat()
	if err == nil && st.Size() < l.treeEnd {
		err = errors.New("the tree of the audit log became shorter")
	}
	return err
}

// readOn applies the complete lines of the current segment past l.end.
func (l *Log) readOn() error {
	st, err := l.file.Stat()
	if err != nil {
		return fmt.Errorf("cannot look at the audit log: %w", err)
	}
	if st.Size() == l.end {
		return nil
	}
	if st.Size() < l.end {
		return fmt.Errorf("%s became shorter", l.cur.path)
	}
	s := scan{seg: l.cur, r: lineReader{f: l.file, off: l.end}, next: l.n}
	for {
		e, err := s.step()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = e.bad
		}
		if err == nil && e.missing != (span{}) {
			err = fmt.Errorf("%v are missing", e.missing)
		}
		if err != nil {
			return fmt.Errorf("cannot read what another process appended to %s: %w", l.cur.path, err)
		}
		if l.end == 0 {
			l.carried = s.r.off
		}
		l.end = s.r.off
		l.unsynced = true
		l.absorb(e.rec, e.line)
	}
}

// following looks for the segment after the current one.
func (l *Log) following() (segment, bool, error) {
	segs, err := listSegments(l.dir)
	if err != nil {
		return segment{}, false, fmt.Errorf("cannot list the audit log: %w", err)
	}
	for i, s := range segs {
		if s != l.cur {
			continue
		}
		if i+1 == len(segs) {
			return segment{}, false, nil
		}
		if segs[i+1].first != l.n {
			return segment{}, false, fmt.Errorf("%s does not begin with record %d", segs[i+1].path, l.n)
		}
		return segs[i+1], true, nil
	}
	return segment{}, false, fmt.Errorf("%s is gone", l.cur.path)
}

// enter makes s the current segment; its records are not read yet.
func (l *Log) enter(s segment) error {
	f, err := openRegular(s.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("cannot open a segment of the audit log: %w", err)
	}
	if l.file != nil {
		_ = l.file.Close() // the process that began s fsynced it
	}
	l.file, l.cur, l.end, l.carried = f, s, 0, 0
	return nil
}

// cutTail cuts what stands after the last LF.
func (l *Log) cutTail() error {
	st, err := l.file.Stat()
	if err != nil {
		return err
	}
	surplus := st.Size() - l.end
	if surplus == 0 {
		return nil
	}
	disk.Point("audit.tail:before-cut")
	if err := l.o.hooks.truncate(l.file, l.end); err != nil {
		return fmt.Errorf("cannot cut the torn end of %s: %w", l.cur.path, err)
	}
	disk.Point("audit.tail:after-cut")
	r := Record{Event: Torn, Count: surplus, Way: "daemon"}
	r.Detail = fmt.Sprintf("%d bytes after the last complete record were cut", surplus)
	l.owed = append(l.owed, r)
	l.report(TornTail, "%s", r.Detail)
	return nil
}

// adoptForeign believes the tree and the head that another process wrote as far
// as they go; the rest is left dirty.
func (l *Log) adoptForeign() error {
	st, err := l.tree.Stat()
	if err != nil {
		return l.breakDown(err)
	}
	if st.Size() >= storedBytes(l.n) {
		l.treeEnd, l.pending = storedBytes(l.n), nil
	}
	h, err := readHead(l.dir, l.key.known)
	if err != nil || h.n != l.n || h.root != l.edge.root() {
		return nil // dirty: finish signs it
	}
	l.setHead(h)
	l.dirty, l.unsynced = len(l.pending) > 0, len(l.pending) > 0
	return nil
}

// rotateIfDue begins a new segment with a new day or above the size. When that
// fails the old one is written on: a full disk must not stop a final record.
func (l *Log) rotateIfDue() {
	today := l.now().Format(time.DateOnly)
	if l.brokenBy() != nil {
		return
	}
	if today <= l.cur.date && l.end-l.carried <= l.o.SegmentBytes {
		return
	}
	l.stand(NoRotation, l.rotate(max(today, l.cur.date)))
}

// rotate makes the records so far durable and begins a segment with the Fold's
// state, so that a start need not read what came before.
func (l *Log) rotate(date string) error {
	if err := l.syncRecords(); err != nil {
		return err
	}
	if err := l.writeTree(); err != nil {
		return err
	}
	if err := l.o.hooks.sync("audit.rotate-tree", l.tree); err != nil {
		return l.breakDown(fmt.Errorf("cannot fsync the audit tree: %w", err))
	}
	r := Record{Seq: l.n, Time: l.now(), Event: CarryEvent}
	r.Carry, r.Oldest = l.fold.Carry()
	line, err := fitLine(r)
	if err == nil {
		r, err = parseLine(line)
	}
	if err != nil {
		return fmt.Errorf("cannot begin a new audit segment: %w", err)
	}
	beforeRecord(r.Event)
	s := newSegment(l.dir, date, l.n)
	err = l.o.hooks.replace("audit.segment", s.path, append(line, '\n'), 0o600)
	if err == nil {
		err = disk.SyncDir(l.dir)
	}
	if err != nil {
		if _, serr := os.Lstat(s.path); !missing(serr) {
			// It may be there after a crash or not: writing on in the old
			// segment could fork the log.
			return l.breakDown(err)
		}
		return fmt.Errorf("cannot begin a new audit segment: %w", err)
	}
	if err := l.enter(s); err != nil {
		return l.breakDown(err)
	}
	l.end = int64(len(line)) + 1
	l.carried = l.end
	l.absorb(r, line)
	l.fresh = append(l.fresh, r.Event)
	return nil
}
