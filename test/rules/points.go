package rules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"sort"
	"strconv"
)

// disk is the package whose functions name the crash points.
const disk = Module + "/daemon/disk"

// steps says which points each function of daemon/disk passes, after the name
// it is given.
var steps = map[string][]string{
	"Point":      {""},
	"Sync":       {":before-fsync", ":after-fsync"},
	"Rename":     {":before-rename", ":after-rename"},
	"Replace":    {":before-fsync", ":after-fsync", ":before-rename", ":after-rename"},
	"Remove":     {":before-remove", ":after-remove"},
	"RemoveTree": {":before-remove", ":after-remove"},
	"Mkdir":      {":before-mkdir", ":after-mkdir"},
}

var pointName = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+$`)

// CrashPoint is one moment at which the daemon can be stopped.
type CrashPoint struct {
	Name string // what QVM_REMOTE_CRASH is set to
	At   string // file:line of the call
}

// Points lists the crash points of the module, by name. The error joins every
// fault found: a name that is no constant, one in another form than
// "package.what", and one that two call sites share, since a crash there would
// not say where it was.
func (t *Tree) Points() ([]CrashPoint, error) {
	var points []CrashPoint
	var faults []error
	where := map[string]string{}
	constants := t.constants()
	for _, f := range t.Files {
		if f.Test() || f.Dir() == "daemon/disk" {
			continue
		}
		for _, c := range f.Calls() {
			endings, ok := steps[c.Name]
			if !ok || c.Pkg != disk || len(c.Args) == 0 {
				continue
			}
			at := t.At(f, c)
			name, ok := constantText(c.Args[0], constants[f.Dir()])
			switch {
			case !ok:
				faults = append(faults, fmt.Errorf("%s: the point's name is not a constant of its package", at))
				continue
			case !pointName.MatchString(name):
				faults = append(faults, fmt.Errorf("%s: point %q is not of the form package.what", at, name))
				continue
			}
			for _, e := range endings {
				if other, taken := where[name+e]; taken {
					faults = append(faults, fmt.Errorf("%s: point %s is also at %s", at, name+e, other))
					continue
				}
				where[name+e] = at
				points = append(points, CrashPoint{Name: name + e, At: at})
			}
		}
	}
	sort.Slice(points, func(i, j int) bool { return points[i].Name < points[j].Name })
	return points, errors.Join(faults...)
}

// constants maps folder, then name, to the text constants declared there.
func (t *Tree) constants() map[string]map[string]string {
	all := map[string]map[string]string{}
	for _, f := range t.Files {
		if f.Test() {
			continue
		}
		if all[f.Dir()] == nil {
			all[f.Dir()] = map[string]string{}
		}
		for _, d := range f.AST.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for i, value := range v.Values {
					if text, ok := constantText(value, nil); ok && i < len(v.Names) {
						all[f.Dir()][v.Names[i].Name] = text
					}
				}
			}
		}
	}
	return all
}

func constantText(e ast.Expr, constants map[string]string) (string, bool) {
	switch x := e.(type) {
	case *ast.BasicLit:
		if x.Kind == token.STRING {
			s, err := strconv.Unquote(x.Value)
			return s, err == nil
		}
	case *ast.Ident:
		s, ok := constants[x.Name]
		return s, ok
	}
	return "", false
}
