package audit

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Verify recomputes the hash of every record that is left, the tree over all
// records, and compares them with the stored tree and the signed head. For
// each checkpoint it finds the delivered record behind it and shows that the
// head it commits to fits the present tree. It writes nothing, takes no lock
// and works on a copy of the folder. The error says that the log could not be
// read; what is wrong with it is in the Report.
func Verify(ctx context.Context, dir string, checkpoints []string) (Report, error) {
	v := &verification{wanted: map[string]bool{}}
	for _, c := range checkpoints {
		c, err := parseCheckpoint(c)
		if err != nil {
			return Report{}, err
		}
		v.wanted[c] = true
		v.asked = append(v.asked, c)
	}
	var err error
	if v.known, err = readVerifiers(dir); err != nil {
		return Report{}, err
	}
	if v.head, err = readHead(dir, v.known); missing(err) {
		return Report{}, err
	} else if err != nil {
		v.fail("%v", err)
		return v.Report, nil
	}
	tree, err := openRegular(filepath.Join(dir, treeName), os.O_RDONLY, 0)
	if err != nil {
		return Report{}, fmt.Errorf("cannot read the audit tree: %w", err)
	}
	defer tree.Close()
	v.tree = treeReader{tree}
	v.stored = bufio.NewReaderSize(tree, readSize)
	v.Records = v.head.n
	if err := v.readLog(ctx, dir); err != nil {
		return Report{}, err
	}
	v.conclude()
	return v.Report, nil
}

// verification is one Verify under way.
type verification struct {
	Report
	wanted  map[string]bool // checkpoints not found yet
	asked   []string
	known   note.Verifiers
	head    head
	tree    treeReader
	stored  *bufio.Reader // the tree file, in step with edge
	edge    frontier      // over the stored leaf hashes
	buf     []byte
	strange int    // lines read since the last record that are none
	short   bool   // the tree file ended early
	broken  bool   // the stored tree does not fit itself
	bad     []span // records missing, unreadable or changed
	losses  []span // recorded as lost
	pruned  int64  // a record says that all below was pruned
}

// readLog goes through the lines and the stored hashes side by side.
func (v *verification) readLog(ctx context.Context, dir string) error {
	segs, err := listSegments(dir)
	if err != nil {
		return fmt.Errorf("cannot list the audit log: %w", err)
	}
	if len(segs) > 0 {
		v.First = segs[0].first
	} else {
		v.First = v.head.n
	}
	v.pass(v.First)
	for _, seg := range segs {
		v.surplus(seg.first)
		if seg.first > v.edge.n && seg.first <= v.head.n {
			v.miss(seg.first)
		}
		if err := v.readSegment(ctx, seg); err != nil {
			return err
		}
	}
	v.miss(v.head.n)
	return nil
}

func (v *verification) readSegment(ctx context.Context, seg segment) error {
	f, err := openRegular(seg.path, os.O_RDONLY, 0)
	if err != nil {
		return fmt.Errorf("cannot read the audit log: %w", err)
	}
	defer f.Close()
	sc := newScan(f, seg, 0)
	for count := 0; ; count++ {
		if count%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		e, err := sc.step()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("cannot read the audit log: %w", err)
		}
		if e.bad == nil {
			v.surplus(e.rec.Seq)
		}
		switch {
		case e.bad != nil:
			v.strange++
		case e.rec.Seq >= v.head.n:
			v.Unsigned++
		case e.rec.Seq < v.edge.n:
			v.fail("record %d stands in the log twice", e.rec.Seq)
		default:
			v.miss(e.rec.Seq)
			v.take(e)
		}
	}
}

// surplus looks at the lines that are no records, before record seq: where no
// record is missing, someone put them in.
func (v *verification) surplus(seq int64) {
	if v.strange > 0 && seq <= v.edge.n && seq <= v.head.n {
		v.fail("%d lines before record %d are no records of this log", v.strange, seq)
	}
	v.strange = 0
}

// take compares one line with its stored hash.
func (v *verification) take(e entry) {
	leaf := tlog.RecordHash(e.line)
	if was := v.pass(e.rec.Seq + 1); was != leaf && !v.short {
		v.hurt(span{e.rec.Seq, e.rec.Seq + 1})
		return // what it says is not believed either
	}
	switch e.rec.Event {
	case Loss:
		v.losses = append(v.losses, span{e.rec.Oldest, e.rec.Oldest + e.rec.Count})
		v.Lost = append(v.Lost, e.rec.Seq)
	case Pruned:
		v.pruned = max(v.pruned, e.rec.Oldest)
	case Delivered:
		v.match(e.rec)
	}
}

// pass moves over the stored hashes up to record n, checks that they fit each
// other, and returns the last leaf.
func (v *verification) pass(n int64) (leaf tlog.Hash) {
	for v.edge.n < n && !v.short {
		if _, err := io.ReadFull(v.stored, leaf[:]); err != nil {
			v.short = true
			return leaf
		}
		v.buf = v.edge.push(leaf, v.buf[:0])
		above := v.buf[tlog.HashSize:]
		have, err := v.stored.Peek(len(above))
		if err != nil {
			v.short = true
		}
		if !bytes.Equal(have, above) {
			v.broken = true
		}
		_, _ = v.stored.Discard(len(have))
	}
	return leaf
}

// miss notes that the records up to n have no line.
func (v *verification) miss(n int64) {
	if v.edge.n < n && !v.short {
		v.hurt(span{v.edge.n, n})
		v.pass(n)
	}
}

func (v *verification) hurt(sp span) { v.bad = appendSpan(v.bad, sp) }

// match looks whether a delivered record is behind one of the checkpoints.
func (v *verification) match(r Record) {
	if len(v.wanted) == 0 || r.Head == "" {
		return
	}
	nonce, err := hex.DecodeString(r.Nonce)
	if err != nil || len(nonce) != 32 {
		return
	}
	c := checkpointOf(nonce, r.Head)
	if !v.wanted[c] {
		return
	}
	delete(v.wanted, c)
	v.Checked = append(v.Checked, Checked{Checkpoint: c, Delivered: r.Seq, head: r.Head})
}

// conclude says what all this proves.
func (v *verification) conclude() {
	switch {
	case v.short:
		v.fail("the tree of hashes is incomplete; after a power cut the next start of the service repairs that, then verify again")
	case v.broken:
		v.fail("the tree of hashes does not fit itself; after a power cut the next start of the service repairs that, then verify again")
	case v.edge.root() != v.head.root:
		v.fail("the records do not give the root that was signed")
	}
	if v.pruned < v.First {
		v.fail("%v are gone and no record says that they were pruned", span{0, v.First})
	}
	for _, sp := range v.bad {
		known, unknown := divide(sp, v.losses)
		for _, sp := range known {
			v.Excepted = append(v.Excepted, sp.String())
		}
		for _, sp := range unknown {
			v.fail("%v missing, unreadable or changed since the log was signed", sp)
		}
	}
	whole := !v.short && !v.broken
	for i := range v.Checked {
		c := &v.Checked[i]
		if err := v.check(c, whole); err != nil {
			v.fail("checkpoint %s: %v", c.Checkpoint, err)
		} else {
			v.Proven = max(v.Proven, c.Records)
		}
	}
	for _, c := range v.asked {
		if v.wanted[c] {
			v.fail("checkpoint %s: no delivered record of this log is behind it: the log was rewritten or cut, or that record was pruned, or the checkpoint is of another log", c)
			delete(v.wanted, c)
		}
	}
}

// divide splits sp into what the losses cover and what they do not.
func divide(sp span, losses []span) (covered, rest []span) {
	rest = []span{sp}
	for _, l := range losses {
		var left []span
		for _, r := range rest {
			from, to := max(r.from, l.from), min(r.to, l.to)
			if from >= to {
				left = append(left, r)
				continue
			}
			covered = append(covered, span{from, to})
			if r.from < from {
				left = append(left, span{r.from, from})
			}
			if to < r.to {
				left = append(left, span{to, r.to})
			}
		}
		rest = left
	}
	return covered, rest
}

// check shows that the head behind a checkpoint fits the present tree.
func (v *verification) check(c *Checked, whole bool) error {
	h, err := parseHead(c.head, v.known)
	if err != nil {
		return fmt.Errorf("the head behind it: %w", err)
	}
	c.Records = h.n
	if !whole || h.n > v.head.n {
		return fmt.Errorf("the log does not hold the %d records of the head behind it", h.n)
	}
	if root, ok := v.tree.rootAt(h.n); !ok || root != h.root {
		return fmt.Errorf("one of the first %d records was changed, removed or added since", h.n)
	}
	return nil
}
