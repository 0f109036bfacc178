package keys

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"qvmremote/queue"
)

// Problem says in a word what is wrong with a file.
type Problem string

// The problems.
const (
	NotRegular Problem = "not-regular"
	WrongMode  Problem = "wrong-mode"
	WrongOwner Problem = "wrong-owner"
	Linked     Problem = "linked"
	Empty      Problem = "empty"
	Short      Problem = "short"
	Corrupt    Problem = "corrupt"
)

// FileError says that a file cannot be trusted, why, and how to mend it. It
// never quotes the file's content.
type FileError struct {
	Path    string
	Problem Problem
	Detail  string // "has mode 0644, must be 0600"
	Mend    string // what to do, for people
}

func (e *FileError) Error() string {
	return fmt.Sprintf("%s %s; %s", e.Path, e.Detail, e.Mend)
}

// maxSpace is how much white space a key that was placed by hand may have
// around it.
const maxSpace = 16

// readFile reads a file of at most max bytes that only root could have
// written, or says why it is none.
func (s *Store) readFile(path string, max int64) ([]byte, error) {
	// O_NONBLOCK: a FIFO must not hold the daemon.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, &FileError{Path: path, Problem: NotRegular, Detail: "is a symbolic link", Mend: "put the file itself there"}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := s.check(path, info); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	if int64(len(b)) > max {
		return nil, &FileError{Path: path, Problem: Corrupt, Detail: fmt.Sprintf("is longer than %d bytes", max), Mend: mendByAuthorize}
	}
	return b, nil
}

const mendByAuthorize = "store it again, in dom0: qvm-remote-dom0 authorize NAME"

func (s *Store) check(path string, info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return &FileError{Path: path, Problem: NotRegular, Detail: "is not a regular file", Mend: "remove it, then " + mendByAuthorize}
	case owner(info) != s.uid:
		return &FileError{Path: path, Problem: WrongOwner, Detail: ownerDetail(info),
			Mend: "somebody else wrote it: remove it, then " + mendByAuthorize}
	case info.Mode() != 0o600: // also no setuid, setgid, sticky
		return &FileError{Path: path, Problem: WrongMode, Detail: fmt.Sprintf("has mode %04o, must be 0600", unixMode(info)),
			Mend: "others may know it: get a new key, or if nobody does: chmod 600 " + path}
	case links(info) != 1:
		return &FileError{Path: path, Problem: Linked, Detail: fmt.Sprintf("has %d names, must have one", links(info)),
			Mend: "remove it, then " + mendByAuthorize}
	}
	return nil
}

// parseKey tells an empty, a short and a corrupt key apart, for each is
// another accident.
func parseKey(path string, b []byte) (queue.Key, error) {
	k, err := queue.ParseKey(b)
	if err == nil {
		return k, nil
	}
	e := &FileError{Path: path, Problem: Corrupt, Detail: "does not hold 64 hex characters", Mend: mendByAuthorize}
	switch n := len(bytes.TrimSpace(b)); {
	case n == 0:
		e.Problem, e.Detail = Empty, "is empty"
	case n < queue.KeyLen:
		e.Problem, e.Detail = Short, fmt.Sprintf("holds only %d of %d characters", n, queue.KeyLen)
	}
	return queue.Key{}, e
}

func owner(info fs.FileInfo) int {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}

func links(info fs.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Nlink)
	}
	return 0
}

func unixMode(info fs.FileInfo) uint32 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Mode & 0o7777
	}
	return uint32(info.Mode().Perm())
}

func ownerDetail(info fs.FileInfo) string {
	return fmt.Sprintf("belongs to account %d, not to root", owner(info))
}
