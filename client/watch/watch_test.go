package watch

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func begin(t *testing.T) (*Watcher, string) {
	t.Helper()
	w := New(time.Hour)
	t.Cleanup(w.Close)
	dir := t.TempDir()
	if err := w.Folder(dir, unix.IN_CREATE, func(name string) bool { return strings.HasPrefix(name, "good") }); err != nil {
		t.Fatal(err)
	}
	return w, dir
}

func changed(t *testing.T, w *Watcher) {
	t.Helper()
	select {
	case <-w.Changed():
	case <-time.After(2 * time.Minute):
		t.Fatal("no signal")
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWantedNamesSignal(t *testing.T) {
	t.Parallel()
	w, dir := begin(t)
	write(t, filepath.Join(dir, "bad"))
	write(t, filepath.Join(dir, "good"))
	changed(t, w) // events come in order: the first was passed over
	select {
	case <-w.Changed():
		t.Fatal("two signals for one wanted change")
	default:
	}
	if w.Lost() {
		t.Fatal("nothing was lost")
	}
}

func TestAFolderThatGoesIsLost(t *testing.T) {
	t.Parallel()
	for name, take := range map[string]func(string) error{
		"removed": os.RemoveAll,
		"renamed": func(dir string) error { return os.Rename(dir, dir+"-aside") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, dir := begin(t)
			if err := take(dir); err != nil {
				t.Fatal(err)
			}
			changed(t, w)
			if !w.Lost() {
				t.Fatal("the folder's end went unnoticed")
			}
		})
	}
}

func TestContentOfOneFile(t *testing.T) {
	t.Parallel()
	w, dir := begin(t)
	path := filepath.Join(dir, "file")
	write(t, path)
	if err := w.Content(path); err != nil {
		t.Fatal(err)
	}
	write(t, path)
	changed(t, w)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "good"))
	changed(t, w)
	if w.Lost() {
		t.Fatal("a file's end is no lost folder")
	}
	if err := os.Symlink("/etc/passwd", path); err != nil {
		t.Fatal(err)
	}
	if err := w.Folder(path, unix.IN_CREATE, nil); err == nil {
		t.Fatal("a link was taken for a folder")
	}
	if err := w.Content(filepath.Join(dir, "missing")); err == nil {
		t.Fatal("a missing file can be watched")
	}
}

func TestWithoutInotifyItSignalsAtItsPace(t *testing.T) {
	t.Parallel()
	w := &Watcher{changed: make(chan struct{}, 1), done: make(chan struct{})}
	go w.tick(time.Millisecond)
	changed(t, w)
	changed(t, w)
	if err := w.Folder("/nowhere", 0, nil); err != nil {
		t.Fatal(err)
	}
	w.Close()
}

func TestAFullQueueIsAChange(t *testing.T) {
	t.Parallel()
	w := &Watcher{}
	if !w.counts([]event{{wd: -1, mask: unix.IN_Q_OVERFLOW}}) {
		t.Fatal("an overflow was passed over")
	}
	if w.counts([]event{{wd: 7, mask: unix.IN_CREATE, name: "x"}}) {
		t.Fatal("an event of a watch that is gone counted")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(encode(1, unix.IN_CREATE, "name\x00\x00\x00\x00"))
	f.Add(append(encode(1, unix.IN_CREATE, "a\x00"), encode(2, unix.IN_MOVED_TO, "")...))
	f.Add([]byte{1, 2, 3})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, e := range parse(b) {
			if strings.Contains(e.name, "\x00") || len(e.name) > len(b) {
				t.Fatalf("name %q", e.name)
			}
		}
	})
}

func encode(wd int32, mask uint32, name string) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(wd))
	b = binary.NativeEndian.AppendUint32(b, mask)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = binary.NativeEndian.AppendUint32(b, uint32(len(name)))
	return append(b, name...)
}
