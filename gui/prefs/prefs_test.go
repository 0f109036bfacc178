package prefs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"qvmremote/test/smalldisk"
)

func kept(t testing.TB) string { return filepath.Join(t.TempDir(), "qvm-remote", "admin.conf") }

// written is a file with that text.
func written(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.conf")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t testing.TB, path string) Prefs {
	t.Helper()
	p, err := Load(path, Default())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func save(t testing.TB, p Prefs, path string) {
	t.Helper()
	if err := p.Save(path); err != nil {
		t.Fatal(err)
	}
}

// TestTheWindowIsAsItWasLeft whatever it was, over a folder that is made.
func TestTheWindowIsAsItWasLeft(t *testing.T) {
	t.Parallel()
	path := kept(t)
	rapid.Check(t, func(r *rapid.T) {
		p := Prefs{
			Width: rapid.IntRange(200, 20_000).Draw(r, "width"), Height: rapid.IntRange(200, 20_000).Draw(r, "height"),
			Maximized: rapid.Bool().Draw(r, "maximized"), Page: rapid.StringMatching(`[a-z-]{0,20}`).Draw(r, "page"),
			Style:        rapid.SampledFrom([]string{"system", "light", "dark"}).Draw(r, "style"),
			HighContrast: rapid.Bool().Draw(r, "contrast"), Notify: rapid.Bool().Draw(r, "notify"), Ask: rapid.Bool().Draw(r, "ask"),
		}
		save(t, p, path)
		if d := cmp.Diff(p, load(t, path)); d != "" {
			r.Fatal(d)
		}
	})
}

func TestWithoutAFileEverythingIsAsAtFirst(t *testing.T) {
	t.Parallel()
	if d := cmp.Diff(Default(), load(t, kept(t))); d != "" {
		t.Error(d)
	}
}

// TestAStrangeFileCostsOnlyWhatItDoesNotSay: the program starts, with the
// defaults for the rest.
func TestAStrangeFileCostsOnlyWhatItDoesNotSay(t *testing.T) {
	t.Parallel()
	wide := Default()
	wide.Width = 800
	for name, c := range map[string]struct {
		text string
		want Prefs
	}{
		"nothing":            {"", Default()},
		"other settings":     {"colour blue\nwidth 800\n[Window]\nheight=900\n", wide},
		"no value":           {"height\nstyle\npage\nmaximized\nwidth 800", wide},
		"other line ends":    {"width 800\r\nstyle system\r\n", wide},
		"spaces around":      {"  width 800  \n\theight x\n", wide},
		"no number":          {"width 8OO\nheight 7.5\nheight 0x400", Default()},
		"too small":          {"width 199\nheight -300", Default()},
		"too large":          {"width 20001\nheight 99999999999999999999", Default()},
		"no style of ours":   {"style pink\nstyle Dark\nwidth 800", wide},
		"no page of ours":    {"page " + strings.Repeat("x", 21) + "\nwidth 800", wide},
		"neither yes nor no": {"maximized true\nnotify 1\nhigh-contrast YES\nwidth 800", wide},
		"bytes":              {"\x00\xff\xfe\x1b[2J\x7fELF\nwidth 800\nheight \x00900\n", wide},
		"one long line":      {strings.Repeat("width 800 ", 1<<17), Default()},
		"too many lines":     {"width 800\n" + strings.Repeat("x\n", maxSize) + "height 900\n", wide},
	} {
		if d := cmp.Diff(c.want, load(t, written(t, c.text))); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestALineIsReadWholeOrNotAtAll: where a file is too long to be read, half a
// number is not another number.
func TestALineIsReadWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	for before := maxSize - 20; before <= maxSize; before++ {
		p := load(t, written(t, strings.Repeat("x", before-1)+"\nwidth 12345\n"))
		if p.Width != Default().Width && p.Width != 12345 {
			t.Errorf("after %d bytes the width is %d", before, p.Width)
		}
	}
}

// TestNoFileMakesAWindowThatNobodySees: no text at all leads outside of what a
// window can be.
func TestNoFileMakesAWindowThatNobodySees(t *testing.T) {
	t.Parallel()
	path := written(t, "")
	line := rapid.OneOf(rapid.String(), rapid.StringMatching(`(width|height|page|style|notify|ask) .{0,30}`),
		rapid.StringMatching(`(width|height) -?[0-9]{1,20}`))
	rapid.Check(t, func(r *rapid.T) {
		text := strings.Join(rapid.SliceOf(line).Draw(r, "lines"), "\n")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			r.Fatal(err)
		}
		p := load(t, path)
		if p.Width < 200 || p.Width > 20_000 || p.Height < 200 || p.Height > 20_000 {
			r.Errorf("the window is %d by %d", p.Width, p.Height)
		}
		if p.Style != "system" && p.Style != "light" && p.Style != "dark" || len(p.Page) > 20 {
			r.Errorf("style %q, page %q", p.Style, p.Page)
		}
	})
}

// TestWhatCannotBeReadIsSaid, and the program starts all the same.
func TestWhatCannotBeReadIsSaid(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]string{"a folder": t.TempDir(), "below a file": filepath.Join(written(t, "width 800\n"), "admin.conf")} {
		p, err := Load(path, Default())
		if err == nil || !strings.HasPrefix(err.Error(), "cannot read how the window was left: ") {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(Default(), p); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// TestASaveIsAllOrNothing: who has the file open sees the old text to its end,
// and no other file is left, be it that saving fails.
func TestASaveIsAllOrNothing(t *testing.T) {
	t.Parallel()
	path := kept(t)
	save(t, Default(), path)
	old := filepath.Join(t.TempDir(), "old")
	if err := os.Link(path, old); err != nil {
		t.Fatal(err)
	}
	dark := Default()
	dark.Style = "dark"
	save(t, dark, path)
	if p := load(t, old); p != Default() {
		t.Errorf("the file was written over: %+v", p)
	}
	if p := load(t, path); p != dark {
		t.Errorf("the file has %+v", p)
	}
	in := filepath.Join(filepath.Dir(path), "folder")
	if err := os.MkdirAll(filepath.Join(in, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := dark.Save(in); err == nil || !strings.HasPrefix(err.Error(), "cannot keep how the window was left: ") {
		t.Errorf("saving over a folder: %v", err)
	}
	if err := dark.Save(filepath.Join(path, "below")); err == nil {
		t.Error("below a file it saves")
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 2 {
		t.Errorf("beside the file there are %v", entries)
	}
}

// TestTheFileIsThePersonsOwn: nobody else reads it or its folder, unless the
// person lets them.
func TestTheFileIsThePersonsOwn(t *testing.T) {
	t.Parallel()
	path := kept(t)
	save(t, Default(), path)
	if m := mode(t, path); m != 0o600 {
		t.Errorf("the file has mode %o", m)
	}
	if m := mode(t, filepath.Dir(path)); m != 0o700 {
		t.Errorf("its folder has mode %o", m)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	save(t, Default(), path)
	if m := mode(t, path); m != 0o644 {
		t.Errorf("its mode was changed to %o", m)
	}
}

func mode(t *testing.T, path string) os.FileMode {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Mode().Perm()
}

// TestALinkStaysOne: whoever keeps their settings elsewhere finds them there.
func TestALinkStaysOne(t *testing.T) {
	t.Parallel()
	elsewhere := written(t, "width 800\n")
	path := filepath.Join(t.TempDir(), "admin.conf")
	if err := os.Symlink(elsewhere, path); err != nil {
		t.Fatal(err)
	}
	p := load(t, path)
	p.Height = 900
	save(t, p, path)
	if to, err := os.Readlink(path); err != nil || to != elsewhere {
		t.Errorf("the link leads to %q: %v", to, err)
	}
	if got := load(t, elsewhere); got != p || got.Width != 800 {
		t.Errorf("where it leads there is %+v", got)
	}
}

// TestALinkToNothingIsReplaced: the place it leads to may never be.
func TestALinkToNothingIsReplaced(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "admin.conf")
	if err := os.Symlink("/nonexistent/admin.conf", path); err != nil {
		t.Fatal(err)
	}
	dark := Default()
	dark.Style = "dark"
	save(t, dark, path)
	if p := load(t, path); p != dark {
		t.Errorf("the file has %+v", p)
	}
}

func TestEachProgramHasItsOwnFile(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", dir)
	for _, program := range []string{"admin", "other"} {
		if p, err := Path(program); err != nil || p != filepath.Join(dir, "qvm-remote", program+".conf") {
			t.Errorf("%s, %v", p, err)
		}
	}
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	if p, err := Path("admin"); err == nil {
		t.Errorf("without a home it is kept in %s", p)
	}
}

func TestMain(m *testing.M) { smalldisk.Main(m) }

// TestAFullDiskKeepsHowTheWindowWasLeftBefore, says so, and has nothing half
// written lie about.
func TestAFullDiskKeepsHowTheWindowWasLeftBefore(t *testing.T) {
	dir := t.TempDir()
	smalldisk.Mount(t, dir, 1)
	path := filepath.Join(dir, "admin.conf")
	before := Default()
	before.Page = "qubes"
	save(t, before, path)
	ballast := smalldisk.Fill(t, dir)
	after := before
	after.Page = "activity"
	if err := after.Save(path); err == nil || !strings.Contains(err.Error(), "no space left") {
		t.Errorf("on a full disk it says %v", err)
	}
	if d := cmp.Diff(before, load(t, path)); d != "" {
		t.Errorf("on a full disk the settings change:\n%s", d)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 1 {
		t.Errorf("there are %v, %v", left, err)
	}
	save(t, after, path)
	if d := cmp.Diff(after, load(t, path)); d != "" {
		t.Errorf("once there is room the settings are not kept:\n%s", d)
	}
}
