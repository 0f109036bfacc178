package audit

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"qvmremote/daemon/disk"
)

// settle makes the stored tree fit the records and the signed head.
//
// The tree up to the newest segment was fsynced before that segment was begun.
// The rest is made again from the lines. Where these do not give the root that
// was signed, but the stored tree does, then the tree is the truth and the
// lines that differ were changed: the tree keeps their old hashes, so that
// every later Verify names them.
func (s *start) settle(ctx context.Context) error {
	l := s.l
	base := s.segs[len(s.segs)-1].first
	st, err := l.tree.Stat()
	if err != nil {
		return err
	}
	rebuilt := st.Size() < storedBytes(base)
	if rebuilt {
		if err := s.rebuild(ctx, base); err != nil {
			return err
		}
	}
	edge, out, fits, err := s.fit(base)
	if err == nil && !fits && !rebuilt && base > 0 {
		// Perhaps only the hashes of older records are damaged.
		if err := s.rebuild(ctx, base); err != nil {
			return err
		}
		edge, out, fits, err = s.fit(base)
	}
	if err != nil {
		return err
	}
	if !fits {
		detail := "the records do not agree with the signed head"
		l.report(Damaged, "%s", detail)
		l.owed = append(l.owed, lossRecord(base, 0, detail))
	}
	return s.store(base, edge, out)
}

// fit gives the tree's edge and the hashes from base on; fits says that they
// are what was signed.
func (s *start) fit(base int64) (edge frontier, out []byte, fits bool, err error) {
	edge, out, root, err := s.grow(base, false)
	if err != nil || s.head.n == 0 || root == s.head.root {
		return edge, out, true, err
	}
	if was, ok := (treeReader{s.l.tree}).rootAt(s.head.n); !ok || was != s.head.root {
		return edge, out, false, nil
	}
	kept, keptOut, _, err := s.grow(base, true)
	signed := storedBytes(min(s.head.n, s.l.n)) - storedBytes(base)
	if err != nil || equalBytes(s.l.tree, keptOut, storedBytes(base)) < signed {
		return edge, out, false, err // the stored tree does not even fit itself
	}
	s.nameChanged(base)
	return kept, keptOut, true, nil
}

// store keeps what the tree file has right from base on, leaves the rest to be
// written, and cuts what is beyond.
func (s *start) store(base int64, edge frontier, out []byte) error {
	l := s.l
	same := equalBytes(l.tree, out, storedBytes(base))
	l.edge, l.treeEnd, l.pending = edge, storedBytes(base)+same, out[same:]
	if len(l.pending) == 0 {
		l.pending = nil
	}
	if err := l.tree.Truncate(l.treeEnd); err != nil {
		return fmt.Errorf("cannot cut the audit tree: %w", err)
	}
	l.dirty = l.head.n != l.n || l.head.root != edge.root() || len(l.pending) > 0
	l.unsynced = l.dirty
	return nil
}

// grow pushes the records from base on. It returns the hashes to store and the
// root at the size of the signed head (the stored one when that lies before
// base). With keep, what the signed head covers keeps its stored hash.
func (s *start) grow(base int64, keep bool) (edge frontier, out []byte, root tlog.Hash, err error) {
	stored := treeReader{s.l.tree}
	if edge, err = loadFrontier(base, stored); err != nil {
		return edge, nil, root, err
	}
	if s.head.n < base {
		root, _ = stored.rootAt(s.head.n)
	} else if s.head.n == base && base > 0 {
		root = edge.root()
	}
	out = make([]byte, 0, max(0, storedBytes(s.l.n)-storedBytes(base)))
	for seq := base; seq < s.l.n; seq++ {
		leaf := s.leaf(seq - base)
		if keep && seq < s.head.n || leaf == (tlog.Hash{}) {
			if h, ok := stored.leaf(seq); ok {
				leaf = h
			}
		}
		out = edge.push(leaf, out)
		if edge.n == s.head.n {
			root = edge.root()
		}
	}
	return edge, out, root, nil
}

func (s *start) leaf(at int64) tlog.Hash {
	if at < int64(len(s.leaves)) {
		return s.leaves[at]
	}
	return tlog.Hash{}
}

// nameChanged finds the lines of the newest segment whose hash is not the one
// that was signed.
func (s *start) nameChanged(base int64) {
	for at, leaf := range s.leaves {
		seq := base + int64(at)
		was, ok := treeReader{s.l.tree}.leaf(seq)
		if seq < s.head.n && ok && leaf != (tlog.Hash{}) && leaf != was {
			s.lose(span{seq, seq + 1})
		}
	}
}

// rebuild makes the tree over the first n records again from their lines, and
// from what is left of the old tree where the lines are gone.
func (s *start) rebuild(ctx context.Context, n int64) error {
	s.l.report(TreeGone, "the hashes of the audit log were damaged and were made again")
	if err := s.rewriteTree(ctx, n); err != nil {
		return fmt.Errorf("cannot make the audit tree again: %w", err)
	}
	return nil
}

func (s *start) rewriteTree(ctx context.Context, n int64) (err error) {
	l := s.l
	path := filepath.Join(l.dir, treeName)
	f, err := os.CreateTemp(l.dir, ".tmp-tree-")
	if err != nil {
		return err
	}
	defer f.Close()
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	b := &builder{out: bufio.NewWriter(f), old: treeReader{l.tree}}
	for _, seg := range s.segs {
		if err := b.addSegment(ctx, seg, n); err != nil {
			return err
		}
	}
	b.fill(n)
	if b.unknown > 0 {
		detail := fmt.Sprintf("the hashes of %d pruned or missing records are lost", b.unknown)
		l.report(Damaged, "%s", detail)
		l.owed = append(l.owed, lossRecord(0, b.unknown, detail))
	}
	if err := b.out.Flush(); err != nil {
		return err
	}
	if err := disk.Sync("audit.rebuild", f); err != nil {
		return err
	}
	if err := disk.Rename("audit.rebuild", f.Name(), path); err != nil {
		return err
	}
	_ = l.tree.Close()
	l.tree, err = openTree(path)
	return err
}

// builder writes a tree file.
type builder struct {
	out     *bufio.Writer
	old     treeReader
	edge    frontier
	buf     []byte
	unknown int64 // records without line or hash
}

func (b *builder) push(leaf tlog.Hash) {
	b.buf = b.edge.push(leaf, b.buf[:0])
	_, _ = b.out.Write(b.buf) // Flush tells
}

// fill pushes old hashes up to record n.
func (b *builder) fill(n int64) {
	for b.edge.n < n {
		h, ok := b.old.leaf(b.edge.n)
		if !ok {
			b.unknown++
		}
		b.push(h)
	}
}

func (b *builder) addSegment(ctx context.Context, seg segment, n int64) error {
	if seg.first >= n {
		return nil
	}
	f, err := openRegular(seg.path, os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	sc := newScan(f, seg, 0)
	for {
		e, err := sc.step()
		if errors.Is(err, io.EOF) {
			return ctx.Err()
		}
		if err != nil {
			return err
		}
		if e.bad != nil || e.rec.Seq < b.edge.n || e.rec.Seq >= n {
			continue
		}
		b.fill(e.rec.Seq)
		b.push(tlog.RecordHash(e.line))
	}
}
