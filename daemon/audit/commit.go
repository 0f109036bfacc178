package audit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
)

// maxBatch is the number of calls that may share one fsync.
const maxBatch = 256

// serve commits until Close.
func (l *Log) serve() {
	defer close(l.stopped)
	settle := time.NewTimer(headDelay)
	settle.Stop()
	armed := false
	defer settle.Stop()
	for {
		select {
		case <-l.closing:
			return
		case <-settle.C:
			armed = false
			l.stand(Unsettled, l.settleHead())
		case c := <-l.calls:
			batch := append(make([]*call, 0, 16), c)
			for more := true; more && len(batch) < maxBatch; {
				select {
				case c := <-l.calls:
					batch = append(batch, c)
				default:
					more = false
				}
			}
			l.commit(batch)
			if l.unsettled && !armed {
				armed = true
				settle.Reset(headDelay)
			}
		}
	}
}

// headDelay is how long the head on the disk may be behind the records, however
// many are appended meanwhile.
const headDelay = time.Second

// commit answers every call of the batch.
func (l *Log) commit(batch []*call) {
	err := l.brokenBy()
	if err == nil {
		err = l.acquire(func() error { return anyWaiting(batch, l.closing) })
	}
	answers := make([]answer, len(batch))
	if err == nil {
		err = l.runBatch(batch, answers)
		l.release()
	}
	for i, c := range batch {
		if err != nil && answers[i].err == nil {
			answers[i].err = err
			if !errors.Is(err, ErrUnsigned) {
				answers[i].commit = Commit{}
			}
		}
		if c.leave() || c.state.Load() == taken {
			c.done <- answers[i]
		}
	}
}

// anyWaiting returns an error once nobody waits for the batch any more.
func anyWaiting(batch []*call, closing chan struct{}) error {
	select {
	case <-closing:
		return ErrClosed
	default:
	}
	var err error
	for _, c := range batch {
		if err = c.ctx.Err(); err == nil {
			return nil
		}
	}
	return err
}

// runBatch does the work of commit with the lock held. Its error is that of
// every call which has none of its own.
func (l *Log) runBatch(batch []*call, answers []answer) error {
	if err := l.catchUp(); err != nil {
		return err
	}
	if err := l.finish(); err != nil { // what an earlier batch or a dead process left
		return fmt.Errorf("nothing was recorded: %w", err)
	}
	if err := unix.Faccessat(unix.AT_FDCWD, l.dir, unix.W_OK, unix.AT_EACCESS); err != nil {
		err = fmt.Errorf("cannot write to the audit folder %s: %w", l.dir, err)
		l.stand(Failing, err)
		return err
	}
	l.fillReserve()
	if err := l.payOwed(); err != nil {
		return err
	}
	for i, c := range batch {
		if !c.state.CompareAndSwap(waiting, taken) {
			continue
		}
		l.rotateIfDue()
		if err := l.brokenBy(); err != nil {
			answers[i].err = err
			continue
		}
		answers[i].commit.Seqs, answers[i].err = l.run(c)
	}
	if err := l.finish(); errors.Is(err, ErrBroken) {
		return err
	} else if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsigned, err)
	}
	for i, c := range batch {
		answers[i].commit.Head = l.Head()
		if c.after != nil && answers[i].err == nil && c.state.Load() == taken {
			answers[i].err = c.after()
		}
	}
	return nil
}

// run calls one fn and writes its records.
func (l *Log) run(c *call) ([]int64, error) {
	tx := &Tx{l: l, brief: c.final && l.ReserveReady() != nil}
	if err := c.fn(tx); err != nil {
		return nil, err
	}
	return l.write(tx, c.final)
}

// write appends the lines of tx and, once they are in the file, applies them.
func (l *Log) write(tx *Tx, final bool) ([]int64, error) {
	if tx.err != nil {
		return nil, tx.err
	}
	if len(tx.records) == 0 {
		return nil, nil
	}
	for _, r := range tx.records {
		beforeRecord(r.Event)
	}
	err := l.writeAt(tx.lines)
	if final && l.lacksRoom(err) && tx.shorten() {
		err = l.writeAt(tx.lines)
	}
	if final && l.lacksRoom(err) && l.giveReserve() {
		err = l.writeAt(tx.lines)
	}
	l.stand(Failing, err)
	if err != nil {
		return nil, err
	}
	disk.Point("audit.append:after-write")
	l.end += int64(len(tx.lines))
	l.unsynced = true
	seqs := make([]int64, len(tx.records))
	rest := tx.lines
	for i, r := range tx.records {
		l.absorb(r, rest[:tx.sizes[i]-1])
		l.fresh = append(l.fresh, r.Event)
		rest = rest[tx.sizes[i]:]
		seqs[i] = r.Seq
	}
	return seqs, nil
}

// lacksRoom says that a write failed for want of room and may be tried again.
func (l *Log) lacksRoom(err error) bool { return diskFull(err) && l.brokenBy() == nil }

// writeAt puts data at the end of the log, all of it or none.
func (l *Log) writeAt(data []byte) error {
	disk.Point("audit.append:before-write")
	n, err := l.o.hooks.writeAt(l.file, data, l.end)
	if err == nil && n == len(data) {
		return nil
	}
	if err == nil {
		err = io.ErrShortWrite
	}
	err = fmt.Errorf("cannot write to the audit log: %w", err)
	if st, serr := l.file.Stat(); serr == nil && st.Size() == l.end {
		return err
	}
	if cerr := l.o.hooks.truncate(l.file, l.end); cerr != nil {
		return l.breakDown(fmt.Errorf("%w, nor cut it back: %w", err, cerr))
	}
	return err
}

// absorb takes in a record that stands in the file.
func (l *Log) absorb(r Record, line []byte) {
	l.fold.Apply(r)
	l.pending = l.edge.push(tlog.RecordHash(line), l.pending)
	l.n = r.Seq + 1
	l.dirty = true
}

// finish makes durable what was absorbed: records, then their hashes, then the
// head.
func (l *Log) finish() error {
	if !l.dirty {
		return nil
	}
	if err := l.syncRecords(); err != nil {
		return err
	}
	err := l.writeTree()
	if err == nil {
		err = l.writeHead()
	}
	l.stand(Unsigned, err)
	if err != nil {
		return err
	}
	for _, e := range l.fresh {
		afterRecord(e)
	}
	l.fresh = l.fresh[:0]
	return nil
}

func (l *Log) syncRecords() error {
	if !l.unsynced {
		return nil
	}
	if err := l.o.hooks.sync("audit.append", l.file); err != nil {
		return l.breakDown(fmt.Errorf("cannot fsync the audit log: %w", err))
	}
	l.unsynced = false
	return nil
}

// writeTree appends the pending hashes. They are not fsynced before the segment
// ends: until then a start can make them again from the records.
func (l *Log) writeTree() error {
	if len(l.pending) == 0 {
		return nil
	}
	disk.Point("audit.tree:before-write")
	write := func() error {
		_, err := l.o.hooks.writeAt(l.tree, l.pending, l.treeEnd)
		return err
	}
	err := write()
	if diskFull(err) && l.giveReserve() {
		err = write()
	}
	if err != nil {
		return fmt.Errorf("cannot write the audit tree: %w", err)
	}
	disk.Point("audit.tree:after-write")
	l.treeEnd += int64(len(l.pending))
	l.pending = l.pending[:0]
	if cap(l.pending) > readSize {
		l.pending = nil
	}
	return nil
}

// writeHead writes the head anew and leaves it to [Log.settleHead] to sync it:
// a power cut may bring back an earlier one, with which the log agrees as well,
// or none, and then a start raises all floors.
func (l *Log) writeHead() error {
	h, err := l.key.sign(l.n, l.edge.root())
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir, headName)
	write := func() error { return l.o.hooks.place("audit.head", path, []byte(h.text), 0o600) }
	err = write()
	if diskFull(err) && l.giveReserve() {
		err = write()
	}
	if err != nil {
		return err
	}
	l.setHead(h)
	l.dirty, l.unsettled = false, true
	return nil
}

// settleHead syncs the head that was written last.
func (l *Log) settleHead() error {
	if !l.unsettled {
		return nil
	}
	f, err := os.Open(filepath.Join(l.dir, headName))
	if err != nil {
		return fmt.Errorf("cannot fsync the audit head: %w", err)
	}
	defer f.Close()
	if err := errors.Join(disk.Sync("audit.settle", f), disk.SyncDir(l.dir)); err != nil {
		return fmt.Errorf("cannot fsync the audit head: %w", err)
	}
	l.unsettled = false
	return nil
}

// payOwed records what this process found itself, before anything else.
func (l *Log) payOwed() error {
	if len(l.owed) == 0 {
		return nil
	}
	tx := &Tx{l: l}
	for _, r := range l.owed {
		tx.Add(r)
	}
	if _, err := l.write(tx, true); err != nil {
		return err
	}
	l.owed = nil
	return nil
}

func (l *Log) setHead(h head) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.head = h
}

func (l *Log) brokenBy() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.broken
}

// breakDown ends all appending and returns the error that says so.
func (l *Log) breakDown(cause error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken == nil {
		l.broken = fmt.Errorf("%w: %w", ErrBroken, cause)
	}
	return l.broken
}

func diskFull(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT)
}
