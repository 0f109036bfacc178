package piece

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Keep is how long a part that nobody goes on with stays: long enough for a
// weekend between two halves of a transfer.
const Keep = 7 * 24 * time.Hour

var (
	// ErrBusy says that another transfer writes the same part.
	ErrBusy = errors.New("another transfer of this file is under way")
	// ErrForeign says that something else is where a part should be.
	ErrForeign = errors.New("what is there is no part that this account wrote")
)

const partPrefix, partEnding = ".qvm-remote-", ".part"

// PartPath is where the part of a file lies until it is whole: beside the file,
// so that it can be renamed, under a name that a part of other content does not
// have.
func PartPath(target string, size int64, sum string) string {
	h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s", filepath.Base(target), size, sum))
	return filepath.Join(filepath.Dir(target), partPrefix+hex.EncodeToString(h[:16])+partEnding)
}

// OpenPart opens a part for reading and writing and keeps others from it until
// it is closed. With create it is made, mode 0600, where it is missing; else the
// error is [fs.ErrNotExist] then.
func OpenPart(path string, create bool) (*os.File, int64, error) {
	flags := os.O_RDWR | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENXIO) {
		err = fmt.Errorf("%s: %w", path, ErrForeign)
	}
	if err != nil {
		return nil, 0, err
	}
	size, err := lock(f, path)
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, size, nil
}

// lock takes the part for this transfer. Who had it before may have renamed or
// removed it meanwhile.
func lock(f *os.File, path string) (size int64, err error) {
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrBusy
		}
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	now, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(info, now) {
		return 0, fmt.Errorf("%s: %w", path, ErrBusy)
	}
	if err == nil && !own(info) {
		err = fmt.Errorf("%s: %w", path, ErrForeign)
	}
	return info.Size(), err
}

// own reports whether a file is a part that this account wrote: another name or
// owner of it would let others change what is read back.
func own(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && info.Mode().IsRegular() && int(st.Uid) == os.Geteuid() && st.Nlink == 1 && info.Mode().Perm()&0o022 == 0
}

// Abandoned lists this account's parts in the folder of target that nobody has
// written to for [Keep].
func Abandoned(target string, now time.Time) []string {
	entries, err := filepath.Glob(filepath.Join(quoteMeta(filepath.Dir(target)), partPrefix+"*"+partEnding))
	if err != nil {
		return nil
	}
	var old []string
	for _, path := range entries {
		if info, err := os.Lstat(path); err == nil && own(info) && now.Sub(info.ModTime()) > Keep {
			old = append(old, path)
		}
	}
	return old
}

// quoteMeta makes a folder's name stand for itself in a pattern.
func quoteMeta(dir string) string {
	var quoted []byte
	for i := range len(dir) {
		switch dir[i] {
		case '*', '?', '[', '\\':
			quoted = append(quoted, '\\')
		}
		quoted = append(quoted, dir[i])
	}
	return string(quoted)
}
