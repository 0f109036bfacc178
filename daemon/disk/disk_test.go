package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// names lists a folder.
func names(t *testing.T, dir string) (out []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestReplace(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	write(t, path, "old, and longer than what comes")
	old, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if err := Replace("test", path, []byte("new"), 0o640); err != nil {
		t.Fatal(err)
	}
	if got := content(t, path); got != "new" {
		t.Errorf("%q", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if was, err := old.Stat(); err != nil || os.SameFile(was, info) {
		t.Error("who had opened the old file reads the new one")
	}
	if left := names(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("left: %v", left)
	}
}

// TestReplaceLeavesNothingWhenItFails: a folder cannot be replaced by a file.
func TestReplaceLeavesNothingWhenItFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "sub")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace("test", path, []byte("new"), 0o600); err == nil {
		t.Error("it says that it did")
	}
	if left := names(t, dir); len(left) != 1 || left[0] != "sub" {
		t.Errorf("left: %v", left)
	}
	if err := Replace("test", filepath.Join(dir, "none", "file"), nil, 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a folder that is not there: %v", err)
	}
}

func TestReplaceReplacesALinkNotItsTarget(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	target, link := filepath.Join(dir, "target"), filepath.Join(dir, "link")
	write(t, target, "target")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	if err := Replace("test", link, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	if content(t, target) != "target" || content(t, link) != "new" {
		t.Errorf("target %q, link %q", content(t, target), content(t, link))
	}
}

func TestRenameBetweenFolders(t *testing.T) {
	t.Parallel()
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	write(t, from, "x")
	if err := Rename("test", from, to); err != nil {
		t.Fatal(err)
	}
	if content(t, to) != "x" || len(names(t, filepath.Dir(from))) != 0 {
		t.Error("not moved")
	}
	if err := Rename("test", from, to); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what is not there: %v", err)
	}
}

func TestRemoving(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, tree := filepath.Join(dir, "file"), filepath.Join(dir, "tree")
	write(t, file, "x")
	if err := Mkdir("test", tree, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(tree, "inside"), "x")
	if err := Mkdir("test", tree, 0o700); err != nil {
		t.Errorf("a folder that is there: %v", err)
	}
	if err := Remove("test", tree); err == nil {
		t.Error("a folder that is not empty was removed as a file")
	}
	for range 2 { // what is gone is no error
		if err := errors.Join(Remove("test", file), RemoveTree("test", tree)); err != nil {
			t.Fatal(err)
		}
	}
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if err := Mkdir("test", filepath.Join(dir, "a", "b"), 0o700); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("below a folder that is not there: %v", err)
	}
}

func TestCleanTakesOnlyHalfWrittenFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{tempPrefix + "0011", "work.key", ".lock", "tmp-x"} {
		write(t, filepath.Join(dir, name), "x")
	}
	if err := Clean(dir); err != nil {
		t.Fatal(err)
	}
	if left := names(t, dir); len(left) != 3 {
		t.Errorf("left: %v", left)
	}
}

func TestRenameNewNeverReplaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	write(t, from, "new")
	for what, place := range map[string]func() error{
		"file":   func() error { return os.WriteFile(to, []byte("old"), 0o600) },
		"folder": func() error { return os.Mkdir(to, 0o700) },
		"link":   func() error { return os.Symlink("nowhere", to) },
	} {
		if err := place(); err != nil {
			t.Fatal(err)
		}
		if err := RenameNew("test", from, to); !errors.Is(err, fs.ErrExist) {
			t.Errorf("over a %s: %v", what, err)
		}
		if err := os.Remove(to); err != nil {
			t.Fatal(err)
		}
	}
	if err := RenameNew("test", from, to); err != nil || content(t, to) != "new" || len(names(t, dir)) != 1 {
		t.Errorf("%v, %q", err, names(t, dir))
	}
}
