package trusted

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestOnlyAFileOfOurOwnIsRead: each other thing is refused by its path and with
// the reason, and a missing file is told apart.
func TestOnlyAFileOfOurOwnIsRead(t *testing.T) {
	t.Parallel()
	file := func(path string, mode os.FileMode) error {
		return errors.Join(os.WriteFile(path, []byte("text"), 0o600), os.Chmod(path, mode))
	}
	for want, place := range map[string]func(path string) error{
		"":                         func(p string) error { return file(p, 0o640) },
		"it is a symbolic link":    func(p string) error { return errors.Join(file(p+"x", 0o600), os.Symlink(p+"x", p)) },
		"it is not a regular file": func(p string) error { return unix.Mkfifo(p, 0o600) },
		"it has mode 0620":         func(p string) error { return file(p, 0o620) },
		"it has mode 0602":         func(p string) error { return file(p, 0o602) },
		"it is longer than 4":      func(p string) error { return os.WriteFile(p, []byte("texts"), 0o600) },
	} {
		path := filepath.Join(t.TempDir(), "file")
		if err := place(path); err != nil {
			t.Fatal(err)
		}
		b, mode, err := Read(path, 4)
		var bad *Error
		switch {
		case want == "" && (err != nil || string(b) != "text" || mode != 0o640):
			t.Errorf("%q, %v, %v", b, mode, err)
		case want != "" && (!errors.As(err, &bad) || bad.Path != path || !strings.Contains(err.Error(), path+": "+want)):
			t.Errorf("%v, want %q", err, want)
		}
	}
	if _, _, err := Read(filepath.Join(t.TempDir(), "none"), 4); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func TestAFileOfSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	path := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chown(path, 1234, -1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(path, 4); err == nil || !strings.Contains(err.Error(), "it belongs to account 1234, not to root") {
		t.Errorf("%v", err)
	}
}
