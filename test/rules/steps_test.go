package rules

import (
	"go/ast"
	"go/token"
	"strconv"
	"strings"
)

// collectSteps adds each exported function of f whose first parameter is a
// point's name, with the endings it adds to that name, followed through calls
// within the package.
func collectSteps(f *File, found map[string]string) {
	bodies := map[string]*ast.FuncDecl{}
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
			bodies[fn.Name.Name] = fn
		}
	}
	for name, fn := range bodies {
		if !fn.Name.IsExported() {
			continue
		}
		if name == "Point" {
			found[name] = ""
			continue
		}
		if p := fn.Type.Params.List; len(p) > 0 && len(p[0].Names) > 0 && p[0].Names[0].Name == "point" {
			found[name] = strings.Join(endings(fn, bodies), " ")
		}
	}
}

func endings(fn *ast.FuncDecl, bodies map[string]*ast.FuncDecl) []string {
	var list []string
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		id, ok := call.Fun.(*ast.Ident)
		if !ok {
			return true
		}
		switch arg := call.Args[0].(type) {
		case *ast.BinaryExpr:
			if lit, ok := arg.Y.(*ast.BasicLit); ok && id.Name == "Point" && arg.Op == token.ADD {
				if s, err := strconv.Unquote(lit.Value); err == nil {
					list = append(list, s)
				}
			}
		case *ast.Ident:
			if inner := bodies[id.Name]; inner != nil && arg.Name == "point" {
				list = append(list, endings(inner, bodies)...)
			}
		}
		return true
	})
	return list
}
