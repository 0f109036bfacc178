package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"qvmremote/queue/piece"
)

// Get writes a piece of a file to w: length bytes from offset on, fewer at its
// end. Of length 0 at offset 0 it writes nothing, and what it says of the file
// holds the SHA-256 of the whole.
func Get(ctx context.Context, w io.Writer, path string, offset, length int64) (piece.State, error) {
	if err := checkPath(path); err != nil {
		return piece.State{}, err
	}
	if length > piece.Max {
		return piece.State{}, refuse(unix.EINVAL, "a piece has at most %d bytes", piece.Max)
	}
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return piece.State{}, explain(path, err)
	}
	defer func() { _ = f.Close() }()
	size, version, err := versionOf(f, path)
	if err != nil {
		return piece.State{}, err
	}
	if offset > size {
		return piece.State{}, refuse(unix.EINVAL, "%s: it has only %d bytes", path, size)
	}
	hash, whole := sha256.New(), offset == 0 && length == 0
	if whole {
		w, length = hash, size
	}
	n := min(length, size-offset)
	copied, err := io.Copy(w, piece.Reader(ctx, io.NewSectionReader(f, offset, n)))
	if err != nil {
		return piece.State{}, explain(path, err)
	}
	_, after, err := versionOf(f, path)
	if err != nil {
		return piece.State{}, err
	}
	if copied != n || after != version {
		return piece.State{}, changed(path)
	}
	if more, _ := f.ReadAt(make([]byte, 1), size); more > 0 { // below /proc every size is 0
		return piece.State{}, refuse(unix.ENODEV, "%s: it has more bytes than its size says, as the kernel's own files do", path)
	}
	if !whole {
		return source(size, version, ""), nil
	}
	return source(size, version, hex.EncodeToString(hash.Sum(nil))), nil
}

// versionOf tells an open file's size, and its version: a hash of what changes
// whenever somebody writes to the file or puts another one in its place. It is
// a hash so that a qube learns nothing else from it.
func versionOf(f *os.File, path string) (size int64, version string, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, "", explain(path, err)
	}
	if err := regular(path, info.Mode()); err != nil {
		return 0, "", err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, "", fmt.Errorf("%s: no status", path)
	}
	h := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %d %d", st.Dev, st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()))
	return st.Size, hex.EncodeToString(h[:piece.VersionLen/2]), nil
}
