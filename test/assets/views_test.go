package assets

import (
	"encoding/xml"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// listed are the files that are compiled into the programs, and the names by
// which they find them.
func listed(t *testing.T) (files, names []string) {
	t.Helper()
	var all struct {
		Groups []struct {
			Prefix string `xml:"prefix,attr"`
			Files  []struct {
				Alias string `xml:"alias,attr"`
				Path  string `xml:",chardata"`
			} `xml:"file"`
		} `xml:"gresource"`
	}
	if err := xml.Unmarshal([]byte(read(t, resources+"/qvm-remote.gresource.xml")), &all); err != nil {
		t.Fatal(err)
	}
	for _, g := range all.Groups {
		for _, f := range g.Files {
			files = append(files, f.Path)
			names = append(names, g.Prefix+"/"+f.Alias)
		}
	}
	return files, names
}

// TestWhatIsShownIsCompiledIn: every view, style and icon, each once and by the
// name that it has as a file.
func TestWhatIsShownIsCompiledIn(t *testing.T) {
	t.Parallel()
	var there []string
	err := filepath.WalkDir(resources, func(p string, d fs.DirEntry, err error) error {
		if ext := filepath.Ext(p); err == nil && (ext == ".ui" || ext == ".css" || ext == ".svg" || ext == ".png") {
			rel, _ := filepath.Rel(resources, p)
			there = append(there, filepath.ToSlash(rel))
		}
		return err
	})
	if err != nil || len(there) == 0 {
		t.Fatalf("there are no views: %v", err)
	}
	files, names := listed(t)
	for _, f := range there {
		if !slices.Contains(files, f) {
			t.Errorf("resources/%s is not listed in qvm-remote.gresource.xml", f)
		}
	}
	for i, f := range files {
		if !slices.Contains(there, f) {
			t.Errorf("resources/%s is listed and not there", f)
		}
		if slices.Contains(names[:i], names[i]) { // both programs have the one style
			t.Errorf("%s, as %s, is listed twice", f, names[i])
		}
		if filepath.Base(f) != filepath.Base(names[i]) {
			t.Errorf("%s goes by the name %s", f, names[i])
		}
	}
}

// accelerators are the actions that have keys, as gui/admin says.
func accelerators(t *testing.T) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../../gui/admin/actions.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || v.Names[0].Name != "accelerators" {
			return true
		}
		for _, e := range v.Values[0].(*ast.CompositeLit).Elts {
			name, err := strconv.Unquote(e.(*ast.KeyValueExpr).Key.(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			actions = append(actions, name)
		}
		return false
	})
	if len(actions) == 0 {
		t.Fatal("gui/admin/actions.go has no accelerators")
	}
	return actions
}

var actionName = regexp.MustCompile(`<property name="action-name">([^<]*)<`)

// TestEveryKeyIsShown: a person finds each key in the window of shortcuts, and
// no key that does nothing.
func TestEveryKeyIsShown(t *testing.T) {
	t.Parallel()
	var shown []string
	view := read(t, resources+"/admin/shortcuts.ui")
	for _, m := range actionName.FindAllStringSubmatch(view, -1) {
		if slices.Contains(shown, m[1]) {
			t.Errorf("%s is shown twice", m[1])
		}
		shown = append(shown, m[1])
	}
	if n := strings.Count(view, `class="GtkShortcutsShortcut"`); n != len(shown) {
		t.Errorf("%d shortcuts are shown, %d by the name of an action", n, len(shown))
	}
	keys := accelerators(t)
	for _, a := range keys {
		if !slices.Contains(shown, a) {
			t.Errorf("resources/admin/shortcuts.ui does not show the key of %s", a)
		}
	}
	for _, a := range shown {
		if !slices.Contains(keys, a) {
			t.Errorf("resources/admin/shortcuts.ui shows %s, which has no key", a)
		}
	}
}
