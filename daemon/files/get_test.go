package files

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/queue/piece"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sumOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func write(t *testing.T, path, text string) string {
	t.Helper()
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// refused fails the test unless err has that number and says all of the texts.
func refused(t *testing.T, what string, err error, errno syscall.Errno, texts ...string) {
	t.Helper()
	if !errors.Is(err, errno) || Code(err) != int(errno) {
		t.Errorf("%s: %v, code %d, want %v", what, err, Code(err), errno)
		return
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %q does not say %q", what, err, text)
		}
	}
}

func TestPiecesMakeTheFile(t *testing.T) {
	t.Parallel()
	text := strings.Repeat("0123456789", 100)
	path := write(t, filepath.Join(t.TempDir(), "file"), text)
	var all bytes.Buffer
	whole, err := Get(t.Context(), &all, path, 0, 0)
	if err != nil || all.Len() != 0 || whole.Size != 1000 || whole.SHA256 != sumOf([]byte(text)) {
		t.Fatalf("%d bytes, %+v, %v", all.Len(), whole, err)
	}
	for off := int64(0); off < 1000; off += 300 {
		s, err := Get(t.Context(), &all, path, off, 300)
		if err != nil || s.Size != 1000 || s.Version != whole.Version || s.SHA256 != "" {
			t.Fatalf("at %d: %+v, %v", off, s, err)
		}
	}
	if all.String() != text {
		t.Errorf("%q", all.String())
	}
	// another version after each change, whatever its size and time
	info, err := os.Stat(path)
	must(t, err)
	fresh := write(t, path+".new", strings.Repeat("x", 1000))
	must(t, os.Chtimes(fresh, info.ModTime(), info.ModTime()))
	must(t, os.Rename(fresh, path))
	if s, err := Get(t.Context(), &all, path, 0, 1); err != nil || s.Version == whole.Version {
		t.Errorf("another file in its place: %+v, %v", s, err)
	}
}

func TestWhatIsNoFileToRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "file"), "abc")
	must(t, os.Symlink(file, filepath.Join(dir, "link")))
	must(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	for _, c := range []struct {
		what, path string
		errno      syscall.Errno
		says       string
	}{
		{"missing", filepath.Join(dir, "none"), unix.ENOENT, "there is no such file"},
		{"in no folder", filepath.Join(dir, "none", "file"), unix.ENOENT, "there is no folder " + filepath.Join(dir, "none")},
		{"below a file", filepath.Join(file, "x"), unix.ENOTDIR, "is no folder"},
		{"folder", dir, unix.EISDIR, "is a folder"},
		{"with a slash", file + "/", unix.EISDIR, "names a folder"},
		{"link", filepath.Join(dir, "link"), unix.ELOOP, "symbolic link"},
		{"fifo", filepath.Join(dir, "fifo"), unix.ENODEV, "no regular file"},
		{"device", "/dev/null", unix.ENODEV, "a device"},
		{"of the kernel", "/proc/version", unix.ENODEV, "more bytes than its size"},
		{"relative", "file", unix.EINVAL, "begins with /"},
		{"with ..", dir + "/x/../file", unix.EINVAL, "write the path"},
		{"with //", dir + "//file", unix.EINVAL, "write the path"},
		{"name too long", dir + "/" + strings.Repeat("x", 256), unix.ENAMETOOLONG, "too long"},
	} {
		var out bytes.Buffer
		_, err := Get(t.Context(), &out, c.path, 0, 10)
		refused(t, c.what, err, c.errno, c.says)
	}
	var out bytes.Buffer
	_, err := Get(t.Context(), &out, file, 4, 1)
	refused(t, "behind the end", err, unix.EINVAL, "only 3 bytes")
	_, err = Get(t.Context(), &out, file, 0, piece.Max+1)
	refused(t, "too much at once", err, unix.EINVAL, "at most")
	if out.Len() > 0 {
		t.Errorf("%q came", out.String())
	}
}

// growing changes its file while it is read.
type growing struct{ path string }

func (g growing) Write(b []byte) (int, error) {
	return len(b), os.WriteFile(g.path, []byte("other bytes, and more of them"), 0o600)
}

func TestAChangeWhileReadIsFoundOut(t *testing.T) {
	t.Parallel()
	path := write(t, filepath.Join(t.TempDir(), "file"), "some bytes")
	past := time.Now().Add(-time.Hour)
	must(t, os.Chtimes(path, past, past))
	_, err := Get(t.Context(), growing{path}, path, 0, 10)
	refused(t, "changed", err, unix.ESTALE, "changed while it was read")
}

func TestAnEndedContextEndsReading(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	path := write(t, filepath.Join(t.TempDir(), "file"), "abc")
	if _, err := Get(ctx, &bytes.Buffer{}, path, 0, 0); !errors.Is(err, context.Canceled) || Code(err) != 1 {
		t.Error(err)
	}
}
