package assets

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What the program is called: outside, by the desktop, and on a command line.
const (
	id      = "org.qvmremote.Admin"
	title   = "Qubes Remote"
	program = "qvm-remote-admin"
)

const (
	desktopFile = resources + "/" + id + ".desktop"
	metainfo    = resources + "/" + id + ".metainfo.xml"
	changelog   = "../../CHANGELOG.md"
)

// run starts a tool that must be there, and returns what it said and how it
// ended.
func run(t *testing.T, tool string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(tool)
	if err != nil {
		t.Fatalf("no %s here, which is needed to check what desktops read; `make setup-test` installs it", tool)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// altered is a copy of a file, of the same name, with one text in place of
// another.
func altered(t *testing.T, path, old, replacement string) string {
	t.Helper()
	text := read(t, path)
	if !strings.Contains(text, old) {
		t.Fatalf("%s has no %q", path, old)
	}
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(text, old, replacement)), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDesktopFileIsValid(t *testing.T) {
	t.Parallel()
	if out, err := run(t, "desktop-file-validate", desktopFile); err != nil || out != "" {
		t.Errorf("desktop-file-validate: %v\n%s", err, out)
	}
	if out, err := run(t, "desktop-file-validate", altered(t, desktopFile, "Type=Application\n", "")); err == nil {
		t.Errorf("an entry without a type goes unseen: %s", out)
	}
}

func TestMetainfoIsValid(t *testing.T) {
	t.Parallel()
	if out, err := run(t, "appstreamcli", "validate", "--no-net", "--no-color", metainfo); err != nil {
		t.Errorf("appstreamcli: %v\n%s", err, out)
	}
	broken := altered(t, metainfo, `<launchable type="desktop-id">`, `<launchable type="somehow">`)
	if out, err := run(t, "appstreamcli", "validate", "--no-net", "--no-color", broken); err == nil {
		t.Errorf("metainfo that starts nothing a desktop knows goes unseen: %s", out)
	}
}

// group is the keys of one group of a desktop file.
func group(text, name string) map[string]string {
	keys, inside := map[string]string{}, false
	for _, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(line, "[") {
			inside = line == "["+name+"]"
		} else if key, value, ok := strings.Cut(line, "="); ok && inside {
			keys[key] = value
		}
	}
	return keys
}

// component is what the tests read of the metainfo.
type component struct {
	ID        string `xml:"id"`
	Name      string `xml:"name"`
	Summaries []struct {
		Language string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
		Text     string `xml:",chardata"`
	} `xml:"summary"`
	Launchable string `xml:"launchable"`
	Icon       string `xml:"icon"`
	Binary     string `xml:"provides>binary"`
	Width      struct {
		Compare string `xml:"compare,attr"`
		Pixels  int    `xml:",chardata"`
	} `xml:"requires>display_length"`
	Releases []struct {
		Version string `xml:"version,attr"`
	} `xml:"releases>release"`
	Description struct {
		Text string `xml:",innerxml"`
	} `xml:"description"`
}

func readComponent(t *testing.T) component {
	t.Helper()
	var c component
	if err := xml.Unmarshal([]byte(read(t, metainfo)), &c); err != nil {
		t.Fatal(err)
	}
	if len(c.Releases) == 0 || len(c.Summaries) == 0 {
		t.Fatal("the metainfo names no release, or has no summary")
	}
	return c
}

// TestDesktopFileAndMetainfoAgree: software centre, menu and window are the
// same program to whoever sees them.
func TestDesktopFileAndMetainfoAgree(t *testing.T) {
	t.Parallel()
	entry, c := group(read(t, desktopFile), "Desktop Entry"), readComponent(t)
	for _, same := range []struct{ what, got, want string }{
		{"the entry's name", entry["Name"], title},
		{"the metainfo's name", c.Name, title},
		{"the metainfo's id", c.ID, id},
		{"the entry's icon", entry["Icon"], id},
		{"the metainfo's icon", c.Icon, id},
		{"what the metainfo has started", c.Launchable, id + ".desktop"},
		{"the program of the metainfo", c.Binary, program},
		{"the program of the entry", entry["Exec"], program},
		{"the window's class", entry["StartupWMClass"], program},
		{"the metainfo's summary", c.Summaries[0].Text, entry["Comment"]},
	} {
		if same.got != same.want {
			t.Errorf("%s is %q, want %q", same.what, same.got, same.want)
		}
	}
	for _, other := range c.Summaries[1:] {
		if comment := entry["Comment["+other.Language+"]"]; other.Text != comment {
			t.Errorf("the metainfo's summary in %q is %q, want %q", other.Language, other.Text, comment)
		}
	}
	if c.Width.Compare != "ge" || c.Width.Pixels != 360 {
		t.Errorf("the metainfo asks for a display of %+v, not of at least 360 pixels", c.Width)
	}
	for _, name := range []string{id, id + "-symbolic"} {
		if iconFiles(t)[name] == "" {
			t.Errorf("there is no icon %s", name)
		}
	}
}

// TestMetainfoSaysTheRisk: before somebody installs it.
func TestMetainfoSaysTheRisk(t *testing.T) {
	t.Parallel()
	text := strings.Join(strings.Fields(readComponent(t).Description.Text), " ")
	for _, sentence := range []string{"A qube that you authorise can do everything", "you do not need it."} {
		if !strings.Contains(text, sentence) {
			t.Errorf("the description does not say: %s", sentence)
		}
	}
}

// TestActionsOpenPages: each action of the menu entry opens a page there is.
func TestActionsOpenPages(t *testing.T) {
	t.Parallel()
	text := read(t, desktopFile)
	actions := strings.FieldsFunc(group(text, "Desktop Entry")["Actions"], func(r rune) bool { return r == ';' })
	if len(actions) == 0 {
		t.Fatal("the entry has no actions")
	}
	for _, action := range actions {
		line := group(text, "Desktop Action "+action)["Exec"]
		page, ok := strings.CutPrefix(line, program+" --page ")
		if !ok || !slices.Contains(pages, page) {
			t.Errorf("action %s starts %q", action, line)
		}
	}
}

var versionHeading = regexp.MustCompile(`(?m)^## ([0-9]+\.[0-9]+\.[0-9]+)`)

// TestNewestVersion: the one of the changelog, everywhere.
func TestNewestVersion(t *testing.T) {
	t.Parallel()
	m := versionHeading.FindStringSubmatch(read(t, changelog))
	if m == nil {
		t.Fatal("CHANGELOG.md names no version")
	}
	if got := readComponent(t).Releases[0].Version; got != m[1] {
		t.Errorf("the newest release of the metainfo is %s, of CHANGELOG.md %s", got, m[1])
	}
	if head, _, _ := strings.Cut(read(t, manual), "\n"); !strings.Contains(head, `"qvm-remote `+m[1]+`"`) {
		t.Errorf("the manual page is of another version than %s: %s", m[1], head)
	}
}
