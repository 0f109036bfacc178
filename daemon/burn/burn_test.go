package burn

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"qvmremote/queue"
)

var fingerprint = queue.GenerateKey().Fingerprint()

func make1(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "legacy")
	if err := Create(dir, "work", fingerprint); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t *testing.T, dir string, atLeast int64) *List {
	t.Helper()
	l, err := Open(dir, "work", fingerprint, atLeast)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func file(dir string) string {
	p, _ := path(dir, "work", fingerprint)
	return p
}

func TestUsedIDsStayUsed(t *testing.T) {
	dir := make1(t)
	l := open(t, dir, 0)
	for _, id := range []string{"a", "b", "a"} {
		if err := l.Add(id); err != nil {
			t.Fatal(err)
		}
	}
	if err := Create(dir, "work", fingerprint); err != nil {
		t.Fatal(err)
	}
	l = open(t, dir, 2)
	if !l.Has("a") || !l.Has("b") || l.Has("c") || l.Len() != 2 {
		t.Errorf("of a, b it has %v, %v; %d in all", l.Has("a"), l.Has("b"), l.Len())
	}
	if info, err := os.Stat(file(dir)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestCreatedByTwoAtOnce: the manager authorizes while the executor has just
// seen the key. Neither takes away what the other has written.
func TestCreatedByTwoAtOnce(t *testing.T) {
	for range 100 {
		dir := filepath.Join(t.TempDir(), "legacy")
		other := make(chan error)
		go func() { other <- Create(dir, "work", fingerprint) }()
		if err := Create(dir, "work", fingerprint); err != nil {
			t.Fatal(err)
		}
		if err := open(t, dir, 0).Add("a"); err != nil {
			t.Fatal(err)
		}
		if err := <-other; err != nil {
			t.Fatal(err)
		}
		if !open(t, dir, 0).Has("a") {
			t.Fatal("the used id is gone")
		}
	}
}

func TestLosses(t *testing.T) {
	for name, hurt := range map[string]func(path string) error{
		"missing":       os.Remove,
		"emptied":       func(p string) error { return os.Truncate(p, 0) },
		"one line less": func(p string) error { return os.Truncate(p, 2) },
		"other text":    func(p string) error { return os.WriteFile(p, []byte("a\n../x\n"), 0o600) },
		"a link":        func(p string) error { return errors.Join(os.Rename(p, p+".x"), os.Symlink(p+".x", p)) },
		"a folder":      func(p string) error { return errors.Join(os.Remove(p), os.Mkdir(p, 0o700)) },
		"a FIFO":        func(p string) error { return errors.Join(os.Remove(p), unix.Mkfifo(p, 0o600)) },
		"twice one id":  func(p string) error { return os.WriteFile(p, []byte("a\na\n"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := make1(t)
			l := open(t, dir, 0)
			if err := errors.Join(l.Add("a"), l.Add("b"), hurt(file(dir))); err != nil {
				t.Fatal(err)
			}
			if l, err := Open(dir, "work", fingerprint, 2); err == nil {
				t.Errorf("it was opened and has %d ids", l.Len())
			} else if name != "a folder" && !errors.Is(err, ErrLost) {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestTornLine: a crash in the middle of an append loses at most the id that
// was not taken yet, and what comes after is a line of its own.
func TestTornLine(t *testing.T) {
	dir := make1(t)
	if err := os.WriteFile(file(dir), []byte("a\nhal"), 0o600); err != nil {
		t.Fatal(err)
	}
	l := open(t, dir, 1)
	if l.Has("hal") || l.Add("b") != nil {
		t.Error("half a line counts")
	}
	if b, _ := os.ReadFile(file(dir)); string(b) != "a\nb\n" {
		t.Errorf("%q", b)
	}
}

// TestFailedAdd: an id that could not be taken is not used, and is taken once
// that is possible again.
func TestFailedAdd(t *testing.T) {
	dir := make1(t)
	l := open(t, dir, 0)
	if err := os.Rename(file(dir), file(dir)+".away"); err != nil {
		t.Fatal(err)
	}
	if err := l.Add("a"); !errors.Is(err, ErrLost) || l.Has("a") {
		t.Errorf("%v", err)
	}
	if err := os.Rename(file(dir)+".away", file(dir)); err != nil {
		t.Fatal(err)
	}
	if err := l.Add("a"); err != nil || !open(t, dir, 1).Has("a") {
		t.Errorf("%v", err)
	}
}

func TestBadNames(t *testing.T) {
	dir := make1(t)
	for _, vm := range []string{"", "..", "dom0", "a/b"} {
		if Create(dir, vm, fingerprint) == nil {
			t.Errorf("a list for %q", vm)
		}
	}
	for _, f := range []string{"", "no key", "../../x", fingerprint + "0"} {
		if Create(dir, "work", f) == nil {
			t.Errorf("a list for the key %q", f)
		}
	}
	if l := open(t, dir, 0); l.Add("a\nb") == nil || l.Add("../x") == nil {
		t.Error("took what is no id")
	}
}
