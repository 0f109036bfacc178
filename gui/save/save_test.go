package save

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
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
