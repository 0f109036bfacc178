// Package piece is what both sides of a file's way in pieces agree on: how
// large a piece may be, what dom0 says of a file, and how the part of a file
// that is there already is named, opened and forgotten.
//
// It guarantees that a part is a regular file of the account that runs, reached
// by no link and written by one transfer at a time, and that its name is made
// of hashes: nothing of it was chosen by the other side.
package piece

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Max bounds one piece, in bytes. It fits into the output of a command, and
// into its input.
const Max = 8 << 20

// Word says what a State is about.
type Word string

// The words.
const (
	Source Word = "source" // a file of dom0's that is read
	Part   Word = "part"   // what dom0 has of a file that is sent to it
	Done   Word = "done"   // that file is in its place
)

// State is what dom0 says of a file after each piece, on the last line of
// stderr: "qvm-remote-file 1 WORD SIZE VERSION SHA256".
type State struct {
	Word    Word
	Size    int64  // of the source, or how much of it is there
	Version string // of a source: another one after each change; else ""
	SHA256  string // of the whole, in hex; "" where it was not asked for
}

const stateMark = "qvm-remote-file 1 "

// ErrNoState says that dom0 answered in another way than this client reads.
var ErrNoState = errors.New("dom0's answer is not in the form this qvm-remote reads; is dom0's older or newer?")

// String is the line, without its end.
func (s State) String() string {
	return fmt.Sprintf("%s%s %d %s %s", stateMark, s.Word, s.Size, orNone(s.Version), orNone(s.SHA256))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// ParseState reads the last line of what dom0 wrote to stderr. Lines before it,
// such as a warning of the shell, are passed over.
func ParseState(stderr []byte) (State, error) {
	stderr = bytes.TrimSuffix(stderr, []byte("\n"))
	line := string(stderr[bytes.LastIndexByte(stderr, '\n')+1:])
	rest, ok := strings.CutPrefix(line, stateMark)
	fields := strings.Split(rest, " ")
	if !ok || len(fields) != 4 {
		return State{}, ErrNoState
	}
	size, err := ParseSize(fields[1])
	s := State{Word: Word(fields[0]), Size: size, Version: notNone(fields[2]), SHA256: notNone(fields[3])}
	known := s.Word == Source || s.Word == Part || s.Word == Done
	if err != nil || !known || s.String() != line || s.Version != "" && !isHash(s.Version, VersionLen) || s.SHA256 != "" && !ValidSHA256(s.SHA256) {
		return State{}, ErrNoState
	}
	return s, nil
}

func notNone(s string) string {
	if s == "none" {
		return ""
	}
	return s
}

// VersionLen is the length of a version: half a SHA-256, in hex.
const VersionLen = 32

// ValidSHA256 reports whether s is a SHA-256 in lower-case hex.
func ValidSHA256(s string) bool { return isHash(s, 64) }

func isHash(s string, length int) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == length && s == strings.ToLower(s)
}

// MaxFile bounds a file's size: what a policy's range can still hold, and more
// than any disk does.
const MaxFile = 1 << 50

// ParseSize reads a number of bytes as it stands in a request: digits, with no
// zero before them, so that a policy's range means the number it matched.
func ParseSize(s string) (int64, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > MaxFile || strconv.FormatInt(n, 10) != s {
		return 0, fmt.Errorf("%q is no number of bytes from 0 to %d", s, int64(MaxFile))
	}
	return n, nil
}

// Reader reads what r does until ctx is done, which ends a copy of a file of any
// size.
func Reader(ctx context.Context, r io.Reader) io.Reader { return reader{ctx, r} }

type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// Writer writes to w until ctx is done, likewise.
func Writer(ctx context.Context, w io.Writer) io.Writer { return writer{ctx, w} }

type writer struct {
	ctx context.Context
	io.Writer
}

func (w writer) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	return w.Writer.Write(b)
}
