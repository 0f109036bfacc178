package audit

import (
	"bytes"
	"fmt"
	"io"
	"math/bits"
	"os"

	"golang.org/x/mod/sumdb/tlog"
)

// frontier is the right edge of a Merkle tree over n records: the roots of its
// complete subtrees, the largest first. It is all that appending needs.
type frontier struct {
	n     int64
	roots []tlog.Hash
}

// push appends a record's hash to the tree and to out the hashes that tlog
// stores for it, in their order.
func (t *frontier) push(leaf tlog.Hash, out []byte) []byte {
	out = append(out, leaf[:]...)
	h := leaf
	for range bits.TrailingZeros64(^uint64(t.n)) {
		last := len(t.roots) - 1
		h = tlog.NodeHash(t.roots[last], h)
		t.roots = t.roots[:last]
		out = append(out, h[:]...)
	}
	t.roots = append(t.roots, h)
	t.n++
	return out
}

// root is the hash of the whole tree.
func (t *frontier) root() tlog.Hash {
	if t.n == 0 {
		h, _ := tlog.TreeHash(0, nil)
		return h
	}
	h := t.roots[len(t.roots)-1]
	for i := len(t.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(t.roots[i], h)
	}
	return h
}

// loadFrontier reads the right edge of the tree over the first n records.
func loadFrontier(n int64, r tlog.HashReader) (frontier, error) {
	var at []int64
	for level := bits.Len64(uint64(n)) - 1; level >= 0; level-- {
		if n>>level&1 == 1 {
			at = append(at, tlog.StoredHashIndex(level, n>>level-1))
		}
	}
	roots, err := r.ReadHashes(at)
	return frontier{n, roots}, err
}

// storedBytes is the size of the tree file for n records.
func storedBytes(n int64) int64 { return tlog.StoredHashCount(n) * tlog.HashSize }

// treeReader reads stored hashes from the tree file.
type treeReader struct{ f io.ReaderAt }

func (t treeReader) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, x := range at {
		if _, err := t.f.ReadAt(out[i][:], x*tlog.HashSize); err != nil {
			return nil, fmt.Errorf("cannot read hash %d of the audit tree: %w", x, err)
		}
	}
	return out, nil
}

// leaf gives the stored hash of one record; ok is false past the end.
func (t treeReader) leaf(seq int64) (h tlog.Hash, ok bool) {
	_, err := t.f.ReadAt(h[:], tlog.StoredHashIndex(0, seq)*tlog.HashSize)
	return h, err == nil
}

// rootAt is the hash of the stored tree over its first n records; ok is false
// when the file does not hold them.
func (t treeReader) rootAt(n int64) (tlog.Hash, bool) {
	if n == 0 {
		return tlog.Hash{}, false
	}
	h, err := tlog.TreeHash(n, t)
	return h, err == nil
}

// equalBytes says how many bytes of data, whole hashes only, the file holds at
// off.
func equalBytes(f io.ReaderAt, data []byte, off int64) (same int64) {
	have := make([]byte, readSize)
	for len(data) > 0 {
		n := min(len(data), len(have))
		got, _ := f.ReadAt(have[:n], off+same)
		for i := 0; i < n; i += tlog.HashSize {
			if i+tlog.HashSize > got || !bytes.Equal(have[i:i+tlog.HashSize], data[i:i+tlog.HashSize]) {
				return same + int64(i)
			}
		}
		data, same = data[n:], same+int64(n)
	}
	return same
}

func openTree(path string) (*os.File, error) {
	f, err := openRegular(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the audit tree: %w", err)
	}
	return f, nil
}
