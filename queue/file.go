package queue

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unicode"
)

// ErrNotRegular says that a name in the queue is a symlink, a FIFO, a folder
// or a device.
var ErrNotRegular = errors.New("not a regular file")

// ErrTooLarge says that a file is larger than its place allows.
var ErrTooLarge = errors.New("too large")

// Publish writes data to path so that a reader sees nothing or all of it: a
// dot-file in the same folder, mode 0600, renamed over path. It does not
// fsync: a qube that loses power loses its requests with the programs that
// wait for them, and dom0 never trusts what it finds.
func Publish(path string, data []byte) error {
	f, err := TempFor(path)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}

// TempFor opens a new dot-file beside path, mode 0600, for the caller to fill
// and rename.
func TempFor(path string) (*os.File, error) {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails on the supported systems
	name := filepath.Join(filepath.Dir(path), "."+hex.EncodeToString(b[:])+".tmp")
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write %s: %w", path, err)
	}
	return f, nil
}

// OpenRegular opens path for reading without following a symlink and without
// waiting for a FIFO's writer, and returns its size. The error is
// [ErrNotRegular] for anything that is not a plain file.
func OpenRegular(path string) (*os.File, int64, error) {
	return openRegular(path, os.O_RDONLY)
}

func openRegular(path string, flag int) (*os.File, int64, error) {
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		// A symlink; a socket, or a FIFO that nobody reads; a folder.
		if errors.Is(err, syscall.ELOOP) || errors.Is(err, syscall.ENXIO) || errors.Is(err, syscall.EISDIR) {
			return nil, 0, fmt.Errorf("%s: %w", path, ErrNotRegular)
		}
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, ErrNotRegular)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// OpenForWrite opens path for writing at offsets, making it with mode 0600 if
// it is missing, under the rules of [OpenRegular].
func OpenForWrite(path string) (*os.File, int64, error) {
	return openRegular(path, os.O_WRONLY|os.O_CREATE)
}

// ReadSmall reads a whole regular file of at most max bytes. The error is
// [ErrTooLarge] for a longer one, of which nothing is returned.
func ReadSmall(path string, max int64) ([]byte, error) {
	f, size, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if size > max {
		return nil, fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	b, err := io.ReadAll(io.LimitReader(f, max+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > max {
		return nil, fmt.Errorf("%s: %w", path, ErrTooLarge)
	}
	return b, nil
}

// AppendLine adds one line to a log that others append to as well: a single
// write, so that lines never mix, under the rules of [OpenRegular]. Control
// characters in line become spaces: it stays one line, and a terminal that
// shows the log obeys none of them.
func AppendLine(path, line string) error {
	f, _, err := openRegular(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return err
	}
	_, err = f.WriteString(oneLine(line) + "\n")
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// oneLine makes text from elsewhere safe as one line of a file that people
// read: control characters become spaces, what is not UTF-8 U+FFFD.
func oneLine(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(s, "\uFFFD"))
}
