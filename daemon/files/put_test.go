package files

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/queue/piece"
)

func target(path, text string) Target {
	return Target{Path: path, Size: int64(len(text)), SHA256: sumOf([]byte(text))}
}

func (t Target) put(tt *testing.T, offset int64, text string) (piece.State, error) {
	tt.Helper()
	return t.Write(tt.Context(), strings.NewReader(text), offset)
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return string(b)
}

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}

func TestAFileIsThereWithItsLastByte(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := target(filepath.Join(dir, "file"), "0123456789")
	if s, err := to.Begin(time.Now()); err != nil || s != (piece.State{Word: piece.Part}) {
		t.Fatal(s, err)
	}
	if s, err := to.put(t, 0, "01234"); err != nil || s.Word != piece.Part || s.Size != 5 {
		t.Fatal(s, err)
	}
	if s, err := to.Begin(time.Now()); err != nil || s.Size != 5 {
		t.Errorf("half way: %v, %v", s, err)
	}
	if left := names(t, dir); len(left) != 1 || left[0] == "file" {
		t.Errorf("half way there is %q", left)
	}
	info, err := os.Stat(to.part())
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("the part has mode %v, %v", info.Mode(), err)
	}
	_, err = to.put(t, 3, "3456789")
	refused(t, "a piece from elsewhere", err, unix.ESPIPE, "5 bytes of it are here")
	if s, err := to.put(t, 5, "56789"); err != nil || s.Word != piece.Done || s.SHA256 != to.SHA256 {
		t.Fatal(s, err)
	}
	if left := names(t, dir); len(left) != 1 || content(t, to.Path) != "0123456789" {
		t.Errorf("at the end there is %q", left)
	}
	if info, err := os.Stat(to.Path); err != nil || info.Mode() != newMode {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	empty := target(filepath.Join(dir, "empty"), "")
	if s, err := empty.put(t, 0, ""); err != nil || s.Word != piece.Done || content(t, empty.Path) != "" {
		t.Errorf("an empty file: %v, %v", s, err)
	}
}

func TestNothingIsReplacedUnasked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := target(write(t, filepath.Join(dir, "file"), "old"), "new!")
	_, err := to.Begin(time.Now())
	refused(t, "begin", err, unix.EEXIST, "exists already")
	_, err = to.put(t, 0, "new!")
	refused(t, "at once", err, unix.EEXIST, "exists already")

	// one that came up in the meantime: the part stays, to be put in its place
	// when that is asked for
	must(t, os.Remove(to.Path))
	_, err = to.put(t, 0, "ne")
	must(t, err)
	f, _, err := piece.OpenPart(to.part(), false)
	must(t, err)
	_, err = f.WriteAt([]byte("w!"), 2)
	must(t, err)
	write(t, to.Path, "old")
	refused(t, "in the last moment", to.finish(t.Context(), f, nil), unix.EEXIST, "exists already")
	must(t, f.Close())
	if content(t, to.Path) != "old" {
		t.Error("it was replaced")
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(to.Path, 12, 34))
	}
	must(t, os.Chmod(to.Path, 0o750|os.ModeSetuid))
	to.Overwrite = true
	if s, err := to.Begin(time.Now()); err != nil || s.Size != 4 {
		t.Fatal(s, err)
	}
	if s, err := to.put(t, 4, ""); err != nil || s.Word != piece.Done || content(t, to.Path) != "new!" {
		t.Fatalf("%v, %v", s, err)
	}
	info, err := os.Stat(to.Path)
	must(t, err)
	if st, _ := info.Sys().(*syscall.Stat_t); info.Mode() != 0o750 || os.Geteuid() == 0 && (st.Uid != 12 || st.Gid != 34) {
		t.Errorf("mode %v, %+v", info.Mode(), st)
	}
}

func TestWhatIsNotAnnouncedIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	to := target(filepath.Join(dir, "file"), "0123456789")
	_, err := to.put(t, 0, "9876543210")
	refused(t, "other bytes", err, unix.EBADMSG, "not what was announced")
	if left := names(t, dir); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
	_, err = to.put(t, 0, "0123456789x")
	refused(t, "more bytes", err, unix.EFBIG, "more than the 10 bytes")
	if _, err := os.Stat(to.Path); !os.IsNotExist(err) {
		t.Errorf("there is a file: %v", err)
	}
	for _, bad := range []Target{{Path: to.Path, Size: 1, SHA256: "zz"}, {Path: to.Path, Size: -1, SHA256: to.SHA256},
		{Path: to.Path, Size: piece.MaxFile + 1, SHA256: to.SHA256}} {
		_, err := bad.Begin(time.Now())
		refused(t, "no target", err, unix.EINVAL)
	}
}

func TestWhereNoFileCanCome(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim := write(t, filepath.Join(dir, "victim"), "safe")
	must(t, os.Symlink(victim, filepath.Join(dir, "link")))
	must(t, os.Mkdir(filepath.Join(dir, "folder"), 0o700))
	for _, c := range []struct {
		what, path string
		errno      syscall.Errno
		says       string
	}{
		{"folder", filepath.Join(dir, "folder"), unix.EISDIR, "is a folder"},
		{"link", filepath.Join(dir, "link"), unix.ELOOP, "symbolic link"},
		{"device", "/dev/null", unix.ENODEV, "a device"},
		{"no folder", filepath.Join(dir, "none", "x"), unix.ENOENT, "there is no folder"},
		{"below a file", filepath.Join(victim, "x"), unix.ENOTDIR, "no folder"},
		{"relative", "x", unix.EINVAL, "begins with /"},
		{"with ..", dir + "/../x", unix.EINVAL, "write the path"},
	} {
		to := target(c.path, "new")
		to.Overwrite = true
		_, err := to.Begin(time.Now())
		refused(t, c.what+": begin", err, c.errno, c.says)
		_, err = to.put(t, 0, "new")
		refused(t, c.what, err, c.errno, c.says)
	}
	if content(t, victim) != "safe" || len(names(t, dir)) != 3 {
		t.Errorf("%q; there is %q", content(t, victim), names(t, dir))
	}
	huge := Target{Path: filepath.Join(dir, "huge"), Size: piece.MaxFile, SHA256: sumOf(nil)}
	_, err := huge.Begin(time.Now())
	refused(t, "no room", err, unix.ENOSPC, "no room")
	_, err = huge.put(t, 0, "x")
	refused(t, "no room", err, unix.ENOSPC, "no room")
	if len(names(t, dir)) != 3 {
		t.Errorf("there is %q", names(t, dir))
	}
}

// TestAPlantedPartIsNotWritten: a folder may be another account's.
func TestAPlantedPartIsNotWritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim := write(t, filepath.Join(dir, "victim"), "safe")
	to := target(filepath.Join(dir, "file"), "new")
	must(t, os.Symlink(victim, to.part()))
	_, err := to.put(t, 0, "new")
	refused(t, "planted", err, unix.ENOTEMPTY, to.part())
	if content(t, victim) != "safe" {
		t.Error("it was written to")
	}
}

func TestPartsGo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	now := time.Now()
	dropped, old, fresh := target(filepath.Join(dir, "a"), "0123456789"), target(filepath.Join(dir, "b"), "0123456789"), target(filepath.Join(dir, "c"), "0123456789")
	for _, to := range []Target{dropped, old, fresh} {
		_, err := to.put(t, 0, "012")
		must(t, err)
	}
	for range 2 { // one that is gone is no error
		if s, err := dropped.Drop(); err != nil || s.Word != piece.Part || s.Size != 0 {
			t.Errorf("%v, %v", s, err)
		}
	}
	past := now.Add(-piece.Keep - time.Hour)
	must(t, os.Chtimes(old.part(), past, past))
	// with the first look at any file of the folder
	_, err := target(filepath.Join(dir, "d"), "x").Begin(now)
	must(t, err)
	if left := names(t, dir); len(left) != 1 || left[0] != filepath.Base(fresh.part()) {
		t.Errorf("left: %q", left)
	}
}

func TestTwoAtOnceDoNotMix(t *testing.T) {
	t.Parallel()
	to := target(filepath.Join(t.TempDir(), "file"), "0123456789")
	f, _, err := piece.OpenPart(to.part(), true)
	must(t, err)
	defer f.Close()
	_, err = to.put(t, 0, "012")
	refused(t, "a second one", err, unix.EBUSY, "another transfer")
	_, err = to.Drop()
	refused(t, "dropped by another", err, unix.EBUSY, "another transfer")
}
