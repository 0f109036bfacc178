package po

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qvmremote/ui/i18n"
)

const translator = "qvmremote/ui/i18n"

// elsewhere are declarations with sentences of packages that know of no
// language; i18n.Known says them.
var elsewhere = []struct{ file, name string }{
	{"queue/reason.go", "sentences"}, {"queue/reason.go", "Sentence"}, {"daemon/health.go", "registered"},
	{"daemon/health.go", "NewHealth"}, {"client/backup/repository/push.go", "Risk"}, {"client/pairing.go", "LegacyOptions"},
	{"client/backup/collect.go", "noFolder"}, {"client/backup/collect.go", "noRequest"}, {"client/backup/collect.go", "noFile"},
	{"client/backup/collect.go", "tooLarge"}, {"client/backup/collect.go", "noRoom"},
}

// views adds what GtkBuilder files mark as translatable.
func (m messages) views(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "resources", "*", "*.ui"))
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := m.view(root, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	return nil
}

func (m messages) view(root, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var wrong error
	_, err = i18n.Translate(text, func(context, message string) string {
		wrong = errors.Join(wrong, m.add(Message{Context: context, Text: message}, place(root, file)))
		return message
	})
	return errors.Join(wrong, err)
}

// source adds what the programs say by ui/i18n, and the sentences from elsewhere.
func (m messages) source(root string) error {
	for _, folder := range []string{"ui", "gui"} {
		if err := each(root, folder, m.calls); err != nil {
			return err
		}
	}
	for _, place := range []string{"client", "queue/key.go"} {
		if err := each(root, place, m.errors); err != nil {
			return err
		}
	}
	for _, e := range elsewhere {
		if err := m.sentences(root, e.file, e.name); err != nil {
			return err
		}
	}
	return nil
}

// each looks at every file of Go below a folder, or at one, but for tests and what
// is in no program.
func each(root, below string, look func(set *token.FileSet, parsed *ast.File, place string) error) error {
	return filepath.WalkDir(filepath.Join(root, below), func(file string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.Contains(file, "dom0test") {
			return err
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		return look(set, parsed, place(root, file))
	})
}

func (m messages) calls(set *token.FileSet, parsed *ast.File, place string) (err error) {
	if !slices.ContainsFunc(parsed.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+translator+`"` }) {
		return nil
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || err != nil {
			return err == nil
		}
		found, says, e := message(call)
		if e != nil {
			err = fmt.Errorf("%s: %w", set.Position(call.Pos()), e)
		} else if says {
			err = m.add(found, place)
		}
		return true
	})
	return err
}

// message is what a call of i18n says.
func message(call *ast.CallExpr) (m Message, says bool, err error) {
	selector, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return Message{}, false, nil
	}
	if of, ok := selector.X.(*ast.Ident); !ok || of.Name != "i18n" {
		return Message{}, false, nil
	}
	var ignored string
	parts := map[string][]*string{"T": {&m.Text}, "C": {&m.Context, &m.Text}, "N": {&ignored, &m.Text, &m.Plural}}[selector.Sel.Name]
	for i, part := range parts {
		if part == &ignored { // how many
			continue
		}
		text, ok := "", false
		if i < len(call.Args) {
			text, ok = literal(call.Args[i])
		}
		if !ok {
			return Message{}, false, fmt.Errorf("i18n.%s is given what is no literal", selector.Sel.Name)
		}
		*part = text
	}
	return m, parts != nil, nil
}

// sentences adds what is written out in a declaration: a constant, the values of
// a table, what a function returns.
func (m messages) sentences(root, file, name string) error {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, file), nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	found := 0
	ast.Inspect(parsed, func(n ast.Node) bool {
		var said []ast.Expr
		switch n := n.(type) {
		case *ast.FuncDecl:
			return n.Name.Name == name
		case *ast.ValueSpec:
			if n.Names[0].Name != name {
				return false
			}
			said = n.Values
		case *ast.KeyValueExpr:
			said = []ast.Expr{n.Value}
		case *ast.CompositeLit:
			said = n.Elts
		case *ast.AssignStmt:
			said = n.Rhs
		case *ast.ReturnStmt:
			said = n.Results
		}
		for _, e := range said {
			if text, ok := literal(e); ok && err == nil {
				found++
				err = m.add(Message{Text: text}, file)
			}
		}
		return err == nil
	})
	if err == nil && found == 0 {
		return fmt.Errorf("%s says nothing in %s", file, name)
	}
	return err
}

// errors adds what the qube's side says when something fails: the parts, between
// colons, that are the same each time. Its program says each by i18n.Known.
func (m messages) errors(_ *token.FileSet, parsed *ast.File, place string) (err error) {
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || err != nil || len(call.Args) == 0 {
			return err == nil
		}
		text, ok := literal(call.Args[0])
		if s, is := call.Fun.(*ast.SelectorExpr); !ok || !is || s.Sel.Name != "New" && s.Sel.Name != "Errorf" {
			return true
		}
		for _, part := range strings.Split(text, ": ") {
			if err == nil && strings.Contains(part, " ") && !strings.Contains(part, "%") {
				err = m.add(Message{Text: part}, place)
			}
		}
		return err == nil
	})
	return err
}

func place(root, file string) string {
	if short, err := filepath.Rel(root, file); err == nil {
		return filepath.ToSlash(short)
	}
	return file
}
