// Package files gives a qube pieces of dom0's files and takes pieces of a file
// from one, each within one request that dom0's policy allowed by its words. It
// guarantees:
//   - Only regular files are read or replaced, never a symbolic link's target,
//     and none is waited for.
//   - A file that comes is in its place whole, with the SHA-256 that was
//     announced, or not at all; until then it is a part beside it, which no one
//     else may read.
//   - Nothing is replaced unless that was asked for.
//   - What cannot be done is an [*Error] that says what is in the way.
//
// Which paths a qube may name is not decided here but by its policy; see
// docs/files.md.
package files

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"qvmremote/queue/piece"
)

// Error says what is in the way, to people and, by Errno, to programs.
type Error struct {
	Errno syscall.Errno
	Text  string
}

func (e *Error) Error() string { return e.Text }

// Unwrap makes fs.ErrExist and its like recognise the error.
func (e *Error) Unwrap() error { return e.Errno }

func refuse(errno syscall.Errno, format string, args ...any) error {
	return &Error{errno, fmt.Sprintf(format, args...)}
}

// Code is the exit code for an error: the number of what is in the way, or 1.
func Code(err error) int {
	var errno syscall.Errno
	if errors.As(err, &errno) && errno > 0 && errno < 124 {
		return int(errno)
	}
	return 1
}

// checkPath refuses a path that is not the one way to write it: what a rule
// matched must be what is opened.
func checkPath(path string) error {
	switch {
	case !strings.HasPrefix(path, "/"):
		return refuse(unix.EINVAL, "%s: a path in dom0 begins with /", path)
	case strings.HasSuffix(path, "/"):
		return refuse(unix.EISDIR, "%s: that names a folder; add the file's name", path)
	case path != filepath.Clean(path):
		return refuse(unix.EINVAL, "%s: write the path without \".\", \"..\" and double slashes: %s", path, filepath.Clean(path))
	}
	return nil
}

// explain says what an error of the file system means for path.
func explain(path string, err error) error {
	if err == nil || errors.As(err, new(*Error)) {
		return err
	}
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("%s: %w", path, err)
	}
	switch errno {
	case unix.ENOENT:
		if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
			return refuse(errno, "%s: there is no folder %s in dom0", path, filepath.Dir(path))
		}
		return refuse(errno, "%s: there is no such file in dom0", path)
	case unix.EEXIST:
		return refuse(errno, "%s: it exists already, and nothing was to be overwritten", path)
	case unix.ENOTDIR:
		return refuse(errno, "%s: %s is no folder in dom0", path, filepath.Dir(path))
	case unix.ELOOP:
		return refuse(errno, "%s: it is a symbolic link; name the file itself", path)
	case unix.ENXIO, unix.ENODEV:
		return refuse(unix.ENODEV, "%s: it is no regular file", path)
	case unix.ENOSPC, unix.EDQUOT:
		return refuse(unix.ENOSPC, "%s: dom0's disk has no room for it", path)
	case unix.EROFS:
		return refuse(errno, "%s: that disk of dom0 is read-only", path)
	}
	return refuse(errno, "%s: %s", path, errno)
}

// regular refuses what is no regular file, by its name.
func regular(path string, mode fs.FileMode) error {
	switch {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return refuse(unix.EISDIR, "%s: it is a folder", path)
	case mode&fs.ModeSymlink != 0:
		return refuse(unix.ELOOP, "%s: it is a symbolic link; name the file itself", path)
	case mode&fs.ModeDevice != 0:
		return refuse(unix.ENODEV, "%s: it is a device", path)
	}
	return refuse(unix.ENODEV, "%s: it is no regular file", path)
}

// changed says that a source is not what it was.
func changed(path string) error {
	return refuse(unix.ESTALE, "%s: it changed while it was read", path)
}

func source(size int64, version, sum string) piece.State {
	return piece.State{Word: piece.Source, Size: size, Version: version, SHA256: sum}
}
