package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"

	"qvmremote/queue"
)

// outputMax bounds one output: what dom0 sends, and its note that the rest was
// cut.
const outputMax = queue.MaxOutput + 1<<10

// OutputError says that output could not be handed on, such as to a closed
// pipe.
type OutputError struct{ Err error }

func (e *OutputError) Error() string { return "cannot write the output: " + e.Err.Error() }
func (e *OutputError) Unwrap() error { return e.Err }

// tail hands on a file while it grows and hashes exactly the bytes it handed
// on: whatever becomes of the file afterwards, what was shown is what is held
// against the signature.
type tail struct {
	open func() (*os.File, error)
	to   io.Writer // nil = only hashed
	f    *os.File
	n    int64
	h    hash.Hash
	buf  []byte
	last []byte // the newest bytes, up to noteMax
}

// noteMax bounds the note that an output was cut.
const noteMax = 64

func newTail(open func() (*os.File, error), to io.Writer) *tail {
	return &tail{open: open, to: to, h: sha256.New()}
}

// follow hands on what is there. It reports whether the file is open now and
// was not before; a file that is no output is left for finish to refuse.
func (t *tail) follow() (opened bool, err error) {
	if t.f == nil {
		f, err := t.open()
		if err != nil {
			return false, nil
		}
		t.f, opened = f, true
	}
	return opened, t.copy(outputMax)
}

func (t *tail) copy(limit int64) error {
	if t.buf == nil {
		t.buf = make([]byte, 64<<10)
	}
	for t.n < limit {
		n, err := t.f.ReadAt(t.buf[:min(int64(len(t.buf)), limit-t.n)], t.n)
		if n > 0 {
			t.n += int64(n)
			t.h.Write(t.buf[:n])
			t.last = append(t.last, t.buf[max(0, n-noteMax):n]...)
			t.last = append(t.last[:0], t.last[max(0, len(t.last)-noteMax):]...)
			if t.to != nil {
				if _, werr := t.to.Write(t.buf[:n]); werr != nil {
					return &OutputError{werr}
				}
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// finish hands on the rest, up to the signed size. It opens the file again,
// which may have been replaced or moved since.
func (t *tail) finish(sum queue.Sum) error {
	if sum.Size > outputMax {
		return fmt.Errorf("%w: over %d bytes", ErrBadResult, outputMax)
	}
	f, err := t.open()
	if err == nil {
		t.close()
		t.f = f
		err = t.copy(sum.Size)
	} else if errors.Is(err, fs.ErrNotExist) {
		err = nil // as good as empty
	}
	if out := (*OutputError)(nil); errors.As(err, &out) {
		return err
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadResult, err)
	}
	if t.n != sum.Size || sum.Present && [sha256.Size]byte(t.h.Sum(nil)) != sum.SHA256 {
		return fmt.Errorf("%w: it is not what dom0 signed", ErrBadResult)
	}
	return nil
}

// rest hands on the rest of an output that nobody signed.
func (t *tail) rest() error {
	f, err := t.open()
	if errors.Is(err, fs.ErrNotExist) {
		return nil // as good as empty
	}
	if err == nil {
		t.close()
		t.f = f
		err = t.copy(outputMax)
	}
	if out := (*OutputError)(nil); errors.As(err, &out) {
		return err
	}
	if err == nil && t.n == outputMax {
		err = fmt.Errorf("an output of over %d bytes", outputMax)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadResult, err)
	}
	return nil
}

// cut says after how many bytes dom0 cut the output: its note is there, right
// behind as many. It is 0 for a whole one.
func (t *tail) cut() int64 {
	i := bytes.LastIndex(t.last, []byte("\n[truncated at "))
	if i < 0 {
		return 0
	}
	var most int64
	note := string(t.last[i:])
	_, err := fmt.Sscanf(note, "\n[truncated at %d bytes]\n", &most)
	if err != nil || note != fmt.Sprintf("\n[truncated at %d bytes]\n", most) || t.n != most+int64(len(note)) {
		return 0
	}
	return most
}

func (t *tail) close() {
	if t.f != nil {
		_ = t.f.Close()
		t.f = nil
	}
}
