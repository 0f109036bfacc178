package save

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestAFileIsWholeOrNotThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	words := func(text string, err error) func(context.Context, io.Writer) (int64, error) {
		return func(_ context.Context, w io.Writer) (int64, error) {
			n, werr := io.WriteString(w, text)
			return int64(n), errors.Join(err, werr)
		}
	}
	if n, err := File(t.Context(), path, words("first", nil)); err != nil || n != 5 {
		t.Fatal(n, err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, try := range map[string]func() error{
		"a source that fails": func() error { _, err := File(t.Context(), path, words("half", errors.New("gone"))); return err },
		"a person gives up":   func() error { _, err := File(ended, path, words("late", nil)); return err },
		"no such folder": func() error {
			_, err := File(t.Context(), filepath.Join(dir, "no", "out"), words("x", nil))
			return err
		},
	} {
		if try() == nil {
			t.Errorf("%s: there is no error", name)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if b, _ := os.ReadFile(path); string(b) != "first" {
		t.Errorf("the file has become %q", b)
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("there are %d files", len(left))
	}
}

// TestAFullDiskIsSaidOfTheFile: of the one that was asked for, not of the one
// beside it, and with what can be done.
func TestAFullDiskIsSaidOfTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out.txt")
	_, err := File(t.Context(), path, func(_ context.Context, w io.Writer) (int64, error) {
		return 0, &fs.PathError{Op: "write", Path: w.(*os.File).Name(), Err: syscall.ENOSPC}
	})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for _, part := range []string{"out.txt", "disk is full", "make room"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	if strings.Contains(err.Error(), ".qvm-remote-") {
		t.Errorf("%q is about a file that nobody knows", err)
	}
}
