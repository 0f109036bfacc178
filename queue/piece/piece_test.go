package piece

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

var sum = strings.Repeat("0a", 32)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestStateHasOneSpelling(t *testing.T) {
	t.Parallel()
	good := State{Source, 20, strings.Repeat("0b", 16), sum}
	for _, s := range []State{good, {Word: Part, Size: 0}, {Word: Done, Size: MaxFile, SHA256: sum}} {
		got, err := ParseState([]byte("bash: warning: setlocale\n" + s.String() + "\n"))
		if err != nil || got != s {
			t.Errorf("%v became %v, %v", s, got, err)
		}
	}
	line := good.String()
	for what, text := range map[string]string{
		"nothing": "", "another line behind": line + "\nmore\n", "a second line end": line + "\n\n",
		"another word": strings.Replace(line, "source", "sauce", 1), "a zero before": strings.Replace(line, " 20 ", " 020 ", 1),
		"a sign": strings.Replace(line, " 20 ", " +20 ", 1), "two blanks": strings.Replace(line, " 20 ", "  20 ", 1),
		"capitals": strings.ToUpper(line), "a short hash": line[:len(line)-1], "another version": strings.Replace(line, "file 1", "file 2", 1),
		"too large": strings.Replace(line, " 20 ", " 1125899906842625 ", 1),
	} {
		if s, err := ParseState([]byte(text)); !errors.Is(err, ErrNoState) {
			t.Errorf("%s: %v, %v", what, s, err)
		}
	}
}

func FuzzParseState(f *testing.F) {
	f.Add([]byte(State{Source, 20, strings.Repeat("0b", 16), sum}.String() + "\n"))
	f.Add([]byte("x\n" + State{Word: Done}.String()))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err != nil {
			return
		}
		if again, err := ParseState([]byte(s.String())); err != nil || again != s || !strings.HasSuffix(strings.TrimSuffix(string(b), "\n"), s.String()) {
			t.Errorf("%q became %v, which became %v, %v", b, s, again, err)
		}
		if s.Size < 0 || s.Size > MaxFile {
			t.Errorf("%q has size %d", b, s.Size)
		}
	})
}

// TestPartsAreApart: a part of other content, or of another name, is not taken
// up, and no name leaves the folder.
func TestPartsAreApart(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, path := range []string{
		PartPath("/d/a", 1, sum), PartPath("/d/b", 1, sum), PartPath("/d/a", 2, sum), PartPath("/d/a", 1, sum[1:]+"0"),
		PartPath("/d/"+strings.Repeat("x", 255), 1, sum),
	} {
		if seen[path] || filepath.Dir(path) != "/d" || len(filepath.Base(path)) > 60 {
			t.Errorf("%s", path)
		}
		seen[path] = true
	}
}

func TestOnePartIsOneTransfers(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "part")
	if _, _, err := OpenPart(path, false); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a part: %v", err)
	}
	f, size, err := OpenPart(path, true)
	if err != nil || size != 0 {
		t.Fatal(size, err)
	}
	if info, err := f.Stat(); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if _, err := f.WriteString("abc"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenPart(path, true); !errors.Is(err, ErrBusy) {
		t.Errorf("a second transfer: %v", err)
	}
	must(t, f.Close())
	f, size, err = OpenPart(path, false)
	if err != nil || size != 3 {
		t.Errorf("taken up: %d, %v", size, err)
	}
	must(t, f.Close())
}

// TestNoPartIsAnothers: whoever can write to the folder could else have dom0
// fill a file of theirs, or read back what they changed.
func TestNoPartIsAnothers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	victim := filepath.Join(dir, "victim")
	must(t, os.WriteFile(victim, nil, 0o600))
	for name, make := range map[string]func(string) error{
		"link":        func(p string) error { return os.Symlink(victim, p) },
		"second name": func(p string) error { return os.Link(victim, p) },
		"folder":      func(p string) error { return os.Mkdir(p, 0o700) },
		"fifo":        func(p string) error { return unix.Mkfifo(p, 0o600) },
		"loose":       func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o666)) },
	} {
		path := filepath.Join(dir, name)
		must(t, make(path))
		if f, _, err := OpenPart(path, true); !errors.Is(err, ErrForeign) {
			t.Errorf("%s: %v, %v", name, f, err)
		}
		must(t, os.RemoveAll(path))
	}
	if os.Geteuid() == 0 {
		must(t, os.Chown(victim, 1, 1))
		if _, _, err := OpenPart(victim, true); !errors.Is(err, ErrForeign) {
			t.Errorf("of another account: %v", err)
		}
	}
}

func TestAbandonedPartsAreOldOnesOfOurOwn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a[b*")
	must(t, os.Mkdir(dir, 0o700))
	now := time.Now()
	old, fresh := PartPath(filepath.Join(dir, "old"), 1, sum), PartPath(filepath.Join(dir, "fresh"), 1, sum)
	other, link := filepath.Join(dir, ".other.part"), filepath.Join(dir, ".qvm-remote-link.part")
	for _, p := range []string{old, fresh, other} {
		must(t, os.WriteFile(p, nil, 0o600))
	}
	must(t, os.Symlink(other, link))
	for _, p := range []string{old, other} {
		must(t, os.Chtimes(p, now, now.Add(-Keep-time.Hour)))
	}
	if got := Abandoned(filepath.Join(dir, "target"), now); len(got) != 1 || got[0] != old {
		t.Errorf("%q", got)
	}
}
