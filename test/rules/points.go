package rules

import (
	"errors"
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// disk is the package whose functions name the crash points.
const disk = Module + "/daemon/disk"

// steps says which points each function of daemon/disk passes, after the name
// it is given.
var steps = map[string][]string{
	"Point":      {""},
	"Sync":       {":before-fsync", ":after-fsync"},
	"Rename":     {":before-rename", ":after-rename"},
	"RenameNew":  {":before-rename", ":after-rename"},
	"Replace":    {":before-fsync", ":after-fsync", ":before-rename", ":after-rename"},
	"Swap":       {":before-fsync", ":after-fsync", ":before-rename", ":after-rename"},
	"Create":     {":before-fsync", ":after-fsync"},
	"Place":      {":before-rename", ":after-rename"},
	"Remove":     {":before-remove", ":after-remove"},
	"RemoveTree": {":before-remove", ":after-remove"},
	"Mkdir":      {":before-mkdir", ":after-mkdir"},
}

// hooked are functions of daemon/disk under the names by which daemon/audit
// calls them through hooks, so that its tests can stand in for a failing disk.
var hooked = map[string]string{"sync": "Sync", "replace": "Replace", "place": "Place"}

// A name is package.what; one that is given to Point itself may say a step as
// well, package.what:step.
var (
	pointName = regexp.MustCompile(`^[a-z][a-z0-9]*(\.[a-z0-9]+(-[a-z0-9]+)*)+$`)
	pointStep = regexp.MustCompile(`^:[a-z]+(-[a-z]+)*$`)
)

// CrashPoint is one moment at which the daemon can be stopped.
type CrashPoint struct {
	Name string // what QVM_REMOTE_CRASH is set to
	At   string // file:line of the call
}

// Points lists the crash points of the module, by name. The error joins every
// fault found: a name that is no constant, one in another form than
// "package.what", and one that two call sites share, since a crash there would
// not say where it was.
//
// A function that passes its own parameter on as the name is looked through:
// the constants are those its callers in the same package give it.
func (t *Tree) Points() ([]CrashPoint, error) {
	l := listing{tree: t, constants: t.constants(), where: map[string]string{}}
	for _, f := range t.Files {
		if f.Test() || f.Dir() == "daemon/disk" {
			continue
		}
		for _, c := range f.Calls() {
			name := c.Name
			if hook, ok := hooked[name]; ok && c.Pkg == "" && f.Dir() == "daemon/audit" {
				name, c.Pkg = hook, disk
			}
			if endings, ok := steps[name]; ok && c.Pkg == disk && len(c.Args) > 0 {
				l.call(f, c, c.Args[0], endings)
			}
		}
	}
	sort.Slice(l.points, func(i, j int) bool { return l.points[i].Name < l.points[j].Name })
	return l.points, errors.Join(l.faults...)
}

type listing struct {
	tree      *Tree
	constants map[string]map[string]string
	where     map[string]string // full name to call site
	points    []CrashPoint
	faults    []error
}

func (l *listing) call(f *File, c Call, name ast.Expr, endings []string) {
	if text, ok := constantText(name, l.constants[f.Dir()]); ok {
		l.add(l.tree.At(f, c), text, endings)
		return
	}
	fn, i := parameter(c.In, name)
	callers := 0
	if fn != nil {
		for _, g := range l.tree.Files {
			if g.Test() || g.Dir() != f.Dir() {
				continue
			}
			for _, outer := range g.Calls() {
				if outer.Name != fn.Name.Name || outer.Pkg != "." && outer.Pkg != "" || i >= len(outer.Args) {
					continue
				}
				callers++
				if text, ok := constantText(outer.Args[i], l.constants[f.Dir()]); ok {
					l.add(l.tree.At(g, outer), text, endings)
				} else {
					l.fault(l.tree.At(g, outer), "the point's name is not a constant of its package")
				}
			}
		}
	}
	if callers == 0 {
		l.fault(l.tree.At(f, c), "the point's name is not a constant of its package")
	}
}

// parameter finds the parameter of the function d that e names, and its place.
func parameter(d ast.Decl, e ast.Expr) (*ast.FuncDecl, int) {
	fn, ok := d.(*ast.FuncDecl)
	id, named := e.(*ast.Ident)
	if !ok || !named || fn.Name.IsExported() {
		return nil, 0
	}
	i := 0
	for _, field := range fn.Type.Params.List {
		for _, n := range field.Names {
			if n.Name == id.Name {
				return fn, i
			}
			i++
		}
	}
	return nil, 0
}

func (l *listing) add(at, name string, endings []string) {
	base, step := name, ""
	if i := strings.IndexByte(name, ':'); i >= 0 && len(endings) == 1 && endings[0] == "" {
		base, step = name[:i], name[i:]
	}
	if !pointName.MatchString(base) || step != "" && !pointStep.MatchString(step) {
		l.fault(at, fmt.Sprintf("point %q is not of the form package.what", name))
		return
	}
	for _, e := range endings {
		if other, taken := l.where[name+e]; taken {
			l.fault(at, fmt.Sprintf("point %s is also at %s", name+e, other))
			continue
		}
		l.where[name+e] = at
		l.points = append(l.points, CrashPoint{Name: name + e, At: at})
	}
}

func (l *listing) fault(at, text string) {
	l.faults = append(l.faults, fmt.Errorf("%s: %s", at, text))
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
		f.eachConstant(func(v *ast.ValueSpec) {
			for i, value := range v.Values {
				if text, ok := constantText(value, nil); ok && i < len(v.Names) {
					all[f.Dir()][v.Names[i].Name] = text
				}
			}
		})
	}
	return all
}

// Texts maps the names of the constants of type typ in the package of dir to
// the texts they stand for.
func (t *Tree) Texts(dir, typ string) map[string]string {
	all := map[string]string{}
	for _, f := range t.Files {
		if f.Dir() != dir || f.Test() {
			continue
		}
		f.eachConstant(func(v *ast.ValueSpec) {
			if of, ok := v.Type.(*ast.Ident); ok && of.Name == typ && len(v.Values) == 1 {
				all[v.Names[0].Name], _ = constantText(v.Values[0], nil)
			}
		})
	}
	return all
}

// eachConstant visits what the file declares as constants at its top.
func (f *File) eachConstant(visit func(*ast.ValueSpec)) {
	for _, d := range f.AST.Decls {
		if g, ok := d.(*ast.GenDecl); ok && g.Tok == token.CONST {
			for _, s := range g.Specs {
				visit(s.(*ast.ValueSpec))
			}
		}
	}
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
