package assets

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

const manual = "../../docs/man/qvm-remote-admin.1"

// manuals are all pages.
var manuals = []string{manual, "../../docs/man/qvm-remote.1"}

// pages are those that --page opens, in the order of the sidebar.
var pages = []string{"overview", "qubes", "requests", "activity"}

// pageContents is how the manual page begins to say what is on each.
var pageContents = map[string]string{
	"overview": "The service's state",
	"qubes":    "Who is authorised",
	"activity": "The record of",
}

// shown is the manual page as a person reads it, in one line, without hyphens
// that only a line's end made.
func shown(t *testing.T) string {
	t.Helper()
	out, err := run(t, "groff", "-man", "-Tascii", "-P-c", "-rHY=0", manual)
	if err != nil {
		t.Fatalf("groff: %v\n%s", err, out)
	}
	var plain []rune
	for _, r := range out { // overstrike is how it writes bold and underlined
		if r == '\b' && len(plain) > 0 {
			plain = plain[:len(plain)-1]
			continue
		}
		plain = append(plain, r)
	}
	return strings.Join(strings.Fields(string(plain)), " ")
}

func TestManualPageIsValid(t *testing.T) {
	t.Parallel()
	for _, page := range manuals {
		if out, err := run(t, "groff", "-ww", "-man", "-Tutf8", "-z", page); err != nil || out != "" {
			t.Errorf("groff, of %s: %v\n%s", page, err, out)
		}
	}
	broken := altered(t, manual, ".SH FILES", ".SHH FILES")
	if out, _ := run(t, "groff", "-ww", "-man", "-Tutf8", "-z", broken); out == "" {
		t.Error("a macro that is not there goes unseen")
	}
}

// TestManualPageIsComplete: each option and page of --help, what else steers
// the program, and what it may cost.
func TestManualPageIsComplete(t *testing.T) {
	t.Parallel()
	text := shown(t)
	said := []string{
		program + " - see and control",
		"[--page page]", "--page page Show that page first", "--version Print", "--help Print",
		"QVM_REMOTE_BUS The D-Bus address", "GSK_RENDERER How GTK draws",
		"~/.config/qvm-remote/admin.conf", "EXIT STATUS 0 ",
		"A qube that you authorise can do everything.",
	}
	for _, page := range pages {
		said = append(said, page+" "+pageContents[page])
	}
	for _, words := range said {
		if !strings.Contains(text, words) {
			t.Errorf("the manual page does not say %q:\n%s", words, text)
		}
	}
}

// TestManualPageIsMentioned: who reads the documents learns that it is there.
func TestManualPageIsMentioned(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	err := filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "build" || strings.HasPrefix(d.Name(), ".git")):
			return fs.SkipDir
		case !d.IsDir() && strings.HasSuffix(p, ".md"):
			for _, page := range manuals {
				found[page] = found[page] || strings.Contains(read(t, p), "man/"+filepath.Base(page))
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range manuals {
		if !found[page] {
			t.Errorf("no document links to %s", page)
		}
	}
}
