package po

import (
	"encoding/xml"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	translator = "qvmremote/ui/i18n"
	// contract has the sentences that a qube is told a refusal by.
	contract = "queue/reason.go"
)

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
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var found *Message
	for d := xml.NewDecoder(f); ; {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch t := t.(type) {
		case xml.StartElement:
			found = nil
			for _, a := range t.Attr {
				if a.Name.Local == "translatable" && a.Value == "yes" {
					found = &Message{}
				}
			}
			for _, a := range t.Attr {
				if a.Name.Local == "context" && found != nil {
					found.Context = a.Value
				}
			}
		case xml.EndElement:
			found = nil
		case xml.CharData:
			if found != nil {
				found.Text = string(t)
				if err := m.add(*found, place(root, file)); err != nil {
					return err
				}
			}
		}
	}
}

// source adds what the programs say by ui/i18n, and the sentences of the
// contract, which knows of no language.
func (m messages) source(root string) error {
	for _, folder := range []string{"ui", "gui"} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			return m.calls(root, file)
		})
		if err != nil {
			return err
		}
	}
	return m.sentences(root)
}

func (m messages) calls(root, file string) error {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
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
			err = m.add(found, place(root, file))
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

func (m messages) sentences(root string) error {
	file := filepath.Join(root, contract)
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	ast.Inspect(parsed, func(n ast.Node) bool {
		var said ast.Expr
		switch n := n.(type) {
		case *ast.KeyValueExpr: // of the table
			said = n.Value
		case *ast.ReturnStmt: // for a reason of a later version
			if len(n.Results) == 1 {
				said = n.Results[0]
			}
		}
		if text, ok := literal(said); ok && err == nil {
			err = m.add(Message{Text: text}, contract)
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
