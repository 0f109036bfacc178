package rules

import (
	"fmt"
	"go/ast"
	"go/token"
	"path"
	"sort"
	"strings"
	"testing"
)

const (
	maxFileLines     = 399
	maxFunctionLines = 80
)

// noNames are package names that say nothing about what is inside.
var noNames = []string{"util", "utils", "common", "helper", "helpers", "misc", "shared", "base", "lib"}

func TestEveryPackageSaysWhatItIs(t *testing.T) {
	t.Parallel()
	report(t, packageFaults(load(t)))
}

func TestPackageFaultsAreFound(t *testing.T) {
	t.Parallel()
	finds(t, 4, packageFaults(sample(t, map[string]string{
		"none/a.go":      "package none",
		"two/a.go":       "// Package two is one.\npackage two",
		"two/b.go":       "// Package two is another.\npackage two",
		"utils/a.go":     "// Package utils is all sorts.\npackage utils",
		"cmd/x/a.go":     "// Command x is fine.\npackage main",
		"wrong/a.go":     "// This one does not name itself.\npackage wrong",
		"fine/a.go":      "// Package fine is fine.\npackage fine",
		"fine/b.go":      "package fine",
		"fine/c_test.go": "package fine_test",
	})))
}

// packageFaults: one package comment in each folder, in one file, beginning
// with the package's name; and a name that says what is inside.
func packageFaults(t *Tree) []string {
	comments := map[string][]string{}
	for _, f := range t.Files {
		dir := f.Dir()
		if _, ok := comments[dir]; !ok {
			comments[dir] = nil
		}
		if f.AST.Doc != nil {
			comments[dir] = append(comments[dir], f.AST.Doc.Text())
		}
	}
	var faults []string
	for dir, texts := range comments {
		name := path.Base(dir)
		for _, no := range noNames {
			if name == no {
				faults = append(faults, dir+": the name says nothing about what is inside")
			}
		}
		if len(texts) != 1 {
			faults = append(faults, fmt.Sprintf("%s: %d package comments, want one", dir, len(texts)))
			continue
		}
		first, _, _ := strings.Cut(texts[0], "\n")
		if !strings.HasPrefix(first, "Package "+name+" ") && !strings.HasPrefix(first, "Command "+name+" ") {
			faults = append(faults, fmt.Sprintf("%s: the package comment begins %q", dir, first))
		}
	}
	sort.Strings(faults)
	return faults
}

func TestFilesAndFunctionsAreShort(t *testing.T) {
	t.Parallel()
	tree := load(t)
	for _, f := range tree.Files {
		if f.Lines > maxFileLines {
			t.Errorf("%s has %d lines, at most %d", f.Path, f.Lines, maxFileLines)
		}
		if f.Test() {
			continue
		}
		for _, d := range f.AST.Decls {
			fn, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := tree.lines(fn); n > maxFunctionLines {
				t.Errorf("%s: %s has %d lines, at most %d", tree.At(f, fn), fn.Name.Name, n, maxFunctionLines)
			}
		}
	}
}

func (t *Tree) lines(n ast.Node) int {
	return t.fset.Position(n.End()).Line - t.fset.Position(n.Pos()).Line + 1
}

func TestExportedNamesAreDocumented(t *testing.T) {
	t.Parallel()
	report(t, undocumented(load(t)))
}

func TestUndocumentedNamesAreFound(t *testing.T) {
	t.Parallel()
	finds(t, 4, undocumented(sample(t, map[string]string{
		"a/a.go": `package a
			func F() {}
			type T struct{}
			func (T) Long() int { x := 1; return x }
			func (T) Short() int { return 1 }
			func (t) Hidden() { println() }
			type t struct{}
			const C = 1
			// Group.
			const (D = 1; E = 2)
			var (
				x = 1
				V = 2 // said here
			)
			// G is documented.
			func G() {}`,
	})))
}

// undocumented lists exported names without a comment. A method that is one
// return statement needs none: its type says what it stands for, and the line
// says the rest (paths and the like).
func undocumented(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		if f.Test() || f.AST.Name.Name == "main" {
			continue
		}
		for _, d := range f.AST.Decls {
			for _, name := range bare(d) {
				faults = append(faults, t.At(f, d)+": say what "+name+" is")
			}
		}
	}
	return faults
}

func bare(d ast.Decl) []string {
	switch d := d.(type) {
	case *ast.FuncDecl:
		r := receiver(d)
		if d.Doc != nil || !d.Name.IsExported() || r != "" && (!ast.IsExported(r) || oneReturn(d)) {
			return nil
		}
		return []string{d.Name.Name}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil {
			return nil
		}
		var names []string
		for _, s := range d.Specs {
			names = append(names, bareSpec(s)...)
		}
		return names
	}
	return nil
}

func bareSpec(s ast.Spec) []string {
	var names []string
	switch s := s.(type) {
	case *ast.TypeSpec:
		if s.Doc == nil && s.Comment == nil && s.Name.IsExported() {
			names = append(names, s.Name.Name)
		}
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if s.Doc == nil && s.Comment == nil && n.IsExported() {
				names = append(names, n.Name)
			}
		}
	}
	return names
}

func oneReturn(d *ast.FuncDecl) bool {
	if d.Body == nil || len(d.Body.List) != 1 {
		return false
	}
	_, ok := d.Body.List[0].(*ast.ReturnStmt)
	return ok
}
