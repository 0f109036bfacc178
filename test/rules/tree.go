// Package rules holds this repository to what it says about itself: which
// package may import which, where a file that decides something may be
// written, what every package and exported name must say, and that documents
// name nothing that is not there. Its tests read the source; they run nothing
// of it.
//
// [Points] lists every crash point of the daemon from the source, so that the
// crash tests can stop at all of them.
package rules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// Module is the path of this module.
const Module = "qvmremote"

// File is one Go file of the module.
type File struct {
	Path  string // from the module's root, with slashes
	Lines int
	AST   *ast.File
}

// Dir is the folder of f, "." at the root.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Test reports whether f is compiled into tests only.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Imports lists the paths f imports.
func (f *File) Imports() []string {
	var list []string
	for _, i := range f.AST.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			list = append(list, p)
		}
	}
	return list
}

// Tree is every Go file of the module, under whatever build tag.
type Tree struct {
	Root  string
	Files []*File
	fset  *token.FileSet
}

// Root finds the module's root at or above the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod at or above the working folder")
		}
		dir = up
	}
}

// Load parses the module at root. Folders that Go itself leaves out (testdata,
// names that begin with "." or "_", and other modules) are left out here too.
func Load(root string) (*Tree, error) {
	t := &Tree{Root: root, fset: token.NewFileSet()}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (name == "testdata" || name[0] == '.' || name[0] == '_' || ownModule(p)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || name[0] == '.' || name[0] == '_' {
			return nil
		}
		return t.add(p)
	})
	if err == nil && len(t.Files) == 0 {
		err = fmt.Errorf("no Go files below %s", root)
	}
	return t, err
}

// ownModule reports whether dir is the root of a module, as the bindings that
// were put together in build/ are.
func ownModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

func (t *Tree) add(p string) error {
	f, err := parser.ParseFile(t.fset, p, nil, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.Root, p)
	if err != nil {
		return err
	}
	t.Files = append(t.Files, &File{
		Path: filepath.ToSlash(rel), Lines: t.fset.File(f.Pos()).LineCount(), AST: f,
	})
	return nil
}

// At spells where n is in f, for a message.
func (t *Tree) At(f *File, n ast.Node) string {
	return fmt.Sprintf("%s:%d", f.Path, t.fset.Position(n.Pos()).Line)
}

// Under reports whether dir is one of the folders or lies below one.
func Under(dir string, folders ...string) bool {
	for _, f := range folders {
		if dir == f || strings.HasPrefix(dir, f+"/") {
			return true
		}
	}
	return false
}

// Call is a call of a package's function, of a function of the same package or
// of a method of anything.
type Call struct {
	*ast.CallExpr
	Pkg  string   // the import path, "." for the same package, "" for a method
	Name string   // of the function or method
	In   ast.Decl // the declaration it is in
}

// Calls lists the calls in f that go by a name, in the order of the source.
func (f *File) Calls() []Call {
	names := f.packages()
	var calls []Call
	for _, d := range f.AST.Decls {
		ast.Inspect(d, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			switch fn := call.Fun.(type) {
			case *ast.Ident:
				calls = append(calls, Call{CallExpr: call, Pkg: ".", Name: fn.Name, In: d})
			case *ast.SelectorExpr:
				c := Call{CallExpr: call, Name: fn.Sel.Name, In: d}
				if id, ok := fn.X.(*ast.Ident); ok {
					c.Pkg = names[id.Name]
				}
				calls = append(calls, c)
			}
			return true
		})
	}
	return calls
}

// packages maps the name by which f knows each import to its path.
func (f *File) packages() map[string]string {
	names := map[string]string{}
	for _, i := range f.AST.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		if i.Name != nil {
			names[i.Name.Name] = p
		} else {
			names[path.Base(p)] = p
		}
	}
	return names
}

// DeclName spells a function as Name or Type.Name; anything else is "".
func DeclName(d ast.Decl) string {
	f, ok := d.(*ast.FuncDecl)
	if !ok {
		return ""
	}
	if r := receiver(f); r != "" {
		return r + "." + f.Name.Name
	}
	return f.Name.Name
}

// receiver is the name of the type f is a method of, or "".
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) != 1 {
		return ""
	}
	t := f.Recv.List[0].Type
	for {
		switch x := t.(type) {
		case *ast.StarExpr:
			t = x.X
		case *ast.IndexExpr:
			t = x.X
		case *ast.IndexListExpr:
			t = x.X
		case *ast.Ident:
			return x.Name
		default:
			return ""
		}
	}
}
