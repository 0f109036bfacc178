// Package trusted reads files that nobody but root can have written.
//
// It guarantees that what it returns came from a regular file, not by a
// symbolic link, that belongs to root (or to the account that runs, as in
// tests), that no one else may write, and that is no longer than asked for.
// It waits for no one: a FIFO in a file's place is refused, not opened.
package trusted

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Error says why a file cannot be trusted, and how to mend it.
type Error struct {
	Path string
	Text string
}

func (e *Error) Error() string { return e.Path + ": " + e.Text }

// Read returns the file's content and its mode. The error is an [*Error], or that of opening
// or reading: [fs.ErrNotExist] where there is no file.
func Read(path string, max int64) ([]byte, fs.FileMode, error) {
	// O_NONBLOCK: a FIFO must not hold the daemon.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, 0, &Error{path, "it is a symbolic link; put the file itself there"}
	}
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	if text := doubt(path, info); text != "" {
		return nil, 0, &Error{path, text}
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if int64(len(b)) > max {
		return nil, 0, &Error{path, fmt.Sprintf("it is longer than %d bytes", max)}
	}
	return b, info.Mode(), nil
}

// doubt says what speaks against the file, "" if nothing does.
func doubt(path string, info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || !info.Mode().IsRegular():
		return "it is not a regular file"
	case st.Uid != 0 && int(st.Uid) != os.Geteuid():
		return fmt.Sprintf("it belongs to account %d, not to root: see who wrote it, then: chown root %s", st.Uid, path)
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("it has mode %04o, so others may write it: check what it says, then: chmod 600 %s", info.Mode().Perm(), path)
	}
	return ""
}
