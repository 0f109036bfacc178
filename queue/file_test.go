package queue

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// oddFiles puts one of each kind that is no regular file into a new folder.
// Each symlink leads to a regular file or a folder that must stay as it was.
func oddFiles(t *testing.T) (dir, target string) {
	t.Helper()
	dir = t.TempDir()
	target = filepath.Join(t.TempDir(), "target")
	must(t, os.WriteFile(target, []byte("untouched"), 0o600))
	must(t, os.Symlink(target, filepath.Join(dir, "symlink")))
	must(t, os.Symlink(filepath.Join(filepath.Dir(target), "missing"), filepath.Join(dir, "dangling")))
	must(t, os.Symlink(os.DevNull, filepath.Join(dir, "device link")))
	must(t, os.Symlink(filepath.Join(dir, "loop"), filepath.Join(dir, "loop")))
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	must(t, syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "socket"), Net: "unix"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return dir, target
}

var oddNames = []string{"symlink", "dangling", "device link", "loop", "folder", "fifo", "socket"}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestOddFilesAreRefused(t *testing.T) {
	t.Parallel()
	dir, target := oddFiles(t)
	for name, open := range map[string]func(string) error{
		"OpenRegular":  func(p string) error { _, _, err := OpenRegular(p); return err },
		"OpenForWrite": func(p string) error { _, _, err := OpenForWrite(p); return err },
		"ReadSmall":    func(p string) error { _, err := ReadSmall(p, 100); return err },
		"AppendLine":   func(p string) error { return AppendLine(p, "x") },
	} {
		for _, odd := range oddNames {
			if err := open(filepath.Join(dir, odd)); !errors.Is(err, ErrNotRegular) {
				t.Errorf("%s of a %s: %v", name, odd, err)
			}
		}
		if err := open(os.DevNull); !errors.Is(err, ErrNotRegular) {
			t.Errorf("%s of a device: %v", name, err)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "untouched" {
		t.Errorf("a symlink's target is now %q, %v", b, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(target)); err != nil || len(entries) != 1 {
		t.Errorf("a dangling symlink was followed: %v, %v", entries, err)
	}
}

// A FIFO with a peer opens without error; it must still be refused, and not
// be waited for.
func TestFIFOWithPeerIsRefused(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "fifo")
	must(t, syscall.Mkfifo(p, 0o600))
	peer, err := os.OpenFile(p, os.O_RDWR|syscall.O_NONBLOCK, 0)
	must(t, err)
	defer peer.Close()
	if _, _, err := OpenForWrite(p); !errors.Is(err, ErrNotRegular) {
		t.Errorf("OpenForWrite: %v", err)
	}
	if err := AppendLine(p, "x"); !errors.Is(err, ErrNotRegular) {
		t.Errorf("AppendLine: %v", err)
	}
	if _, err := ReadSmall(p, 10); !errors.Is(err, ErrNotRegular) {
		t.Errorf("ReadSmall: %v", err)
	}
}

func TestOpenRegular(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "a")
	if _, _, err := OpenRegular(p); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	w, size, err := OpenForWrite(p)
	must(t, err)
	if size != 0 {
		t.Errorf("a new file has %d bytes", size)
	}
	_, err = w.WriteAt([]byte("hello"), 3)
	must(t, err)
	must(t, w.Close())
	f, size, err := OpenRegular(p)
	must(t, err)
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil || size != 8 || string(b) != "\x00\x00\x00hello" {
		t.Errorf("%q of %d bytes, %v", b, size, err)
	}
	if _, err := f.Write([]byte("x")); err == nil {
		t.Error("OpenRegular opened for writing")
	}
	if mode := modeOf(t, p); mode != 0o600 {
		t.Errorf("a new file has mode %o", mode)
	}
	again, size, err := OpenForWrite(p)
	must(t, err)
	defer again.Close()
	if size != 8 {
		t.Errorf("opening a file for writing cut it to %d bytes", size)
	}
}

func modeOf(t *testing.T, p string) fs.FileMode {
	t.Helper()
	info, err := os.Lstat(p)
	must(t, err)
	return info.Mode().Perm()
}

func TestReadSmall(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(p, []byte("12345"), 0o600))
	for max, ok := range map[int64]bool{0: false, 4: false, 5: true, 6: true} {
		b, err := ReadSmall(p, max)
		if ok && (err != nil || string(b) != "12345") || !ok && (!errors.Is(err, ErrTooLarge) || b != nil) {
			t.Errorf("at most %d bytes: %q, %v", max, b, err)
		}
	}
	must(t, os.Truncate(p, 1<<40)) // sparse
	if b, err := ReadSmall(p, MaxHeader); !errors.Is(err, ErrTooLarge) || b != nil {
		t.Errorf("a file of a terabyte: %d bytes, %v", len(b), err)
	}
	must(t, os.Truncate(p, 0))
	if b, err := ReadSmall(p, 0); err != nil || len(b) != 0 {
		t.Errorf("an empty file: %q, %v", b, err)
	}
	// Files of /proc say 0 bytes and hold more, as a file does that grows
	// between the look at its size and the read.
	if b, err := ReadSmall("/proc/self/status", 10); !errors.Is(err, ErrTooLarge) || b != nil {
		t.Errorf("a file that grew: %q, %v", b, err)
	}
}

func onlyNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := filepath.Join(dir, "a")
	for _, data := range []string{"one", "", "three"} {
		must(t, Publish(p, []byte(data)))
		if b, err := os.ReadFile(p); err != nil || string(b) != data {
			t.Errorf("published %q, read %q, %v", data, b, err)
		}
	}
	if mode := modeOf(t, p); mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
	onlyNames(t, dir, "a")
}

// A symlink in the file's place is replaced, not written through.
func TestPublishReplacesOddFiles(t *testing.T) {
	t.Parallel()
	dir, target := oddFiles(t)
	for _, odd := range []string{"symlink", "dangling", "device link", "loop", "fifo", "socket"} {
		p := filepath.Join(dir, odd)
		if err := Publish(p, []byte("new")); err != nil {
			t.Errorf("over a %s: %v", odd, err)
			continue
		}
		if b, err := ReadSmall(p, 10); err != nil || string(b) != "new" {
			t.Errorf("over a %s: %q, %v", odd, b, err)
		}
	}
	if b, err := os.ReadFile(target); err != nil || string(b) != "untouched" {
		t.Errorf("the symlink's target is now %q, %v", b, err)
	}
	if err := Publish(filepath.Join(dir, "folder"), []byte("new")); err == nil || !strings.Contains(err.Error(), "folder") {
		t.Errorf("over a folder: %v", err)
	}
	onlyNames(t, dir, "dangling", "device link", "fifo", "folder", "loop", "socket", "symlink")
	if err := Publish(filepath.Join(dir, "missing", "a"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing folder: %v", err)
	}
}

// A reader sees the old content or the new one, never a part.
func TestPublishIsAtomic(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "a")
	old, young := bytes.Repeat([]byte("o"), 100000), bytes.Repeat([]byte("y"), 100000)
	must(t, Publish(p, old))
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		for i := range 50 {
			if err := Publish(p, [][]byte{young, old}[i%2]); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 50 {
		if b, err := ReadSmall(p, 1<<20); err != nil || !bytes.Equal(b, old) && !bytes.Equal(b, young) {
			t.Errorf("read %d bytes in between, %v", len(b), err)
		}
	}
	writer.Wait()
}

// Unfinished files are no ids: neither side takes one for a request.
func TestTempForNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	a, err := TempFor(filepath.Join(dir, "x"))
	must(t, err)
	defer a.Close()
	b, err := TempFor(filepath.Join(dir, "x"))
	must(t, err)
	defer b.Close()
	if name := filepath.Base(a.Name()); a.Name() == b.Name() || ValidID(name) || filepath.Dir(a.Name()) != dir || modeOf(t, a.Name()) != 0o600 {
		t.Errorf("%s, %s", a.Name(), b.Name())
	}
}

func TestAppendLine(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "audit.log")
	must(t, AppendLine(p, "one"))
	must(t, AppendLine(p, "forged\n[2026] DONE\x1b[2K\r"))
	if b, err := os.ReadFile(p); err != nil || string(b) != "one\nforged [2026] DONE [2K \n" {
		t.Errorf("%q, %v", b, err)
	}
	if mode := modeOf(t, p); mode != 0o600 {
		t.Errorf("mode %o", mode)
	}
	if err := AppendLine(filepath.Join(p, "x"), "x"); err == nil {
		t.Error("appended below a file")
	}
}

func TestAppendedLinesDoNotMix(t *testing.T) {
	t.Parallel()
	p := filepath.Join(t.TempDir(), "audit.log")
	var writers sync.WaitGroup
	for _, c := range []string{"a", "b", "c"} {
		writers.Add(1)
		go func() {
			defer writers.Done()
			for range 20 {
				if err := AppendLine(p, strings.Repeat(c, 300)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	writers.Wait()
	b, err := os.ReadFile(p)
	must(t, err)
	lines := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	for _, l := range lines {
		if len(l) != 300 || strings.Trim(l, l[:1]) != "" {
			t.Errorf("a mixed line: %q", l)
		}
	}
	if len(lines) != 60 {
		t.Errorf("%d lines, want 60", len(lines))
	}
}
