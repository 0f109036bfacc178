package assets

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"qvmremote/test/rules"
)

var (
	symbolicName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9.-]*-symbolic$`)
	appID        = regexp.MustCompile(`^org\.qvmremote\.[A-Za-z]+$`)
	iconProperty = regexp.MustCompile(`<(?:property|attribute) name="(?:[a-z]+-)?icon(?:-name)?">([^<]*)<`)
)

// words lists the strings of the desktop programs' code and the icons that
// their views name, each with the file it is in.
func words(t *testing.T, root string) map[string]string {
	t.Helper()
	tree, err := rules.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range tree.Files {
		if f.Test() || !rules.Under(f.Dir(), "cmd", "gui", "ui", "resources") {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					found[s] = f.Path
				}
			}
			return true
		})
	}
	views, err := filepath.Glob(filepath.Join(root, "resources/*/*.ui"))
	if err != nil {
		t.Fatal(err)
	}
	for _, view := range views {
		for _, m := range iconProperty.FindAllStringSubmatch(read(t, view), -1) {
			found[m[1]] = view
			if !symbolicName.MatchString(m[1]) && !appID.MatchString(m[1]) {
				t.Errorf("%s names the icon %q, which is none of ours", view, m[1])
			}
		}
	}
	return found
}

// nameFaults lists the icons and programs that are named and not there.
func nameFaults(named map[string]string, there func(icon string) bool, program func(id string) bool) (faults []string) {
	for word, file := range named {
		switch {
		case symbolicName.MatchString(word) && !there(word):
			faults = append(faults, file+" names the icon "+word+", which is not in resources/icons")
		case appID.MatchString(word) && !(there(word) && there(word+"-symbolic") && program(word)):
			faults = append(faults, file+" names "+word+", which lacks an icon, a symbolic one, a desktop file or metainfo")
		}
	}
	slices.Sort(faults)
	return faults
}

// TestProgramsNameWhatIsThere: a name that is misspelt shows as a broken icon,
// or a window without one.
func TestProgramsNameWhatIsThere(t *testing.T) {
	t.Parallel()
	root, err := rules.Root()
	if err != nil {
		t.Fatal(err)
	}
	files := iconFiles(t)
	there := func(icon string) bool { return files[icon] != "" }
	program := func(id string) bool {
		for _, end := range []string{".desktop", ".metainfo.xml"} {
			if _, err := os.Stat(filepath.Join(resources, id+end)); err != nil {
				return false
			}
		}
		return true
	}
	for _, fault := range nameFaults(words(t, root), there, program) {
		t.Error(fault)
	}
}

func TestNameFaultsAreFound(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"gui/a.go": "package gui\n\nconst (\n\tID = \"org.qvmremote.Other\"\n\tNo = \"qr-gone-symbolic\"\n" +
			"\tYes = \"qr-here-symbolic\"\n\tPart = \"-symbolic\"\n)\n",
		"resources/a/b.ui": `<property name="icon-name">qr-lost-symbolic</property>`,
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := nameFaults(words(t, root),
		func(icon string) bool { return icon == "qr-here-symbolic" },
		func(string) bool { return true })
	for _, word := range []string{"org.qvmremote.Other", "qr-gone-symbolic", "qr-lost-symbolic"} {
		if !slices.ContainsFunc(got, func(fault string) bool { return strings.Contains(fault, word) }) {
			t.Errorf("%s goes unseen: %q", word, got)
		}
	}
	if len(got) != 3 {
		t.Errorf("found %q, want 3 faults", got)
	}
}
