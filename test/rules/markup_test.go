package rules

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What libadwaita takes for markup is text to whoever wrote it: a "<" in an
// error, or in what a qube sent, would be an empty line, or a link in dom0. So
// each such text is written here, or escaped where it is handed over, where one
// sees that it is.

// takeMarkup are the functions and methods of GTK and libadwaita whose text is
// markup, for some of the widgets that have them.
var takeMarkup = []string{"NewToast", "SetTitle", "SetSubtitle", "SetDescription", "SetMarkup", "SetTooltipMarkup", "SetBody"}

// markupProperties are what stands for them where the bindings have none, and
// markupSwitches what makes markup of other texts.
var (
	markupProperties = []string{"title", "subtitle", "description", "tooltip-markup"}
	markupSwitches   = []string{"use-markup", "heading-use-markup", "body-use-markup"}
)

// markupEscapes are the functions that make markup of text.
var markupEscapes = []string{"escape", "MarkupEscapeText"}

// rowMakers make rows whose texts are markup, which ui.NewRow turns off.
var rowMakers = []string{"NewActionRow", "NewExpanderRow", "NewComboRow"}

const rowFile = "ui/row.go"

// plainTexts are functions in which such a method belongs to something that
// takes text: a desktop's notification.
var plainTexts = []string{"notice"}

// titled maps the fields of the structs in a folder to their types, where those
// are of another package.
func titled(t *Tree, dir string) map[string]string {
	types := map[string]string{}
	for _, f := range t.Files {
		if f.Dir() != dir {
			continue
		}
		ast.Inspect(f.AST, func(n ast.Node) bool {
			field, ok := n.(*ast.Field)
			if !ok {
				return true
			}
			typ := field.Type
			if star, ok := typ.(*ast.StarExpr); ok {
				typ = star.X
			}
			if s, ok := typ.(*ast.SelectorExpr); ok {
				if x, ok := s.X.(*ast.Ident); ok {
					for _, name := range field.Names {
						types[name.Name] = x.Name + "." + s.Sel.Name
					}
				}
			}
			return true
		})
	}
	return types
}

// ourWords reports whether an expression is written out, or escaped.
func ourWords(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.BasicLit:
		return e.Kind == token.STRING
	case *ast.ParenExpr:
		return ourWords(e.X)
	case *ast.BinaryExpr:
		return ourWords(e.X) && ourWords(e.Y)
	case *ast.CallExpr:
		switch fn := e.Fun.(type) {
		case *ast.Ident:
			return slices.Contains(markupEscapes, fn.Name)
		case *ast.SelectorExpr:
			return slices.Contains(markupEscapes, fn.Sel.Name)
		}
	}
	return false
}

// plainTitles are the types of libadwaita whose title is text.
var plainTitles = []string{"adw.WindowTitle", "adw.ApplicationWindow", "adw.TabPage"}

// plainTitle reports whether a method sets such a title.
func plainTitle(c Call, types map[string]string) bool {
	on, ok := c.Fun.(*ast.SelectorExpr).X.(*ast.SelectorExpr)
	if !ok || c.Name != "SetTitle" && c.Name != "SetSubtitle" {
		return false
	}
	typ := types[on.Sel.Name]
	return slices.Contains(plainTitles, typ) || strings.HasPrefix(typ, "gtk.")
}

// asMarkup is the argument of a call that is taken for markup, if there is one.
func asMarkup(c Call, types map[string]string) (text ast.Expr, ok bool) {
	_, method := c.Fun.(*ast.SelectorExpr)
	if !method || len(c.Args) == 0 || slices.Contains(plainTexts, DeclName(c.In)) {
		return nil, false
	}
	if slices.Contains(takeMarkup, c.Name) {
		return c.Args[0], !plainTitle(c, types)
	}
	name, ok := c.Args[0].(*ast.BasicLit)
	if c.Name != "SetObjectProperty" || !ok || len(c.Args) != 2 {
		return nil, false
	}
	property, err := strconv.Unquote(name.Value)
	if off, ok := c.Args[1].(*ast.Ident); slices.Contains(markupSwitches, property) {
		return c.Args[1], !ok || off.Name != "false"
	}
	return c.Args[1], err == nil && slices.Contains(markupProperties, property)
}

// markupFaults lists what is markup by chance.
func markupFaults(t *Tree) []string {
	var faults []string
	types := map[string]map[string]string{}
	for _, f := range t.Files {
		if f.Test() || !Under(f.Dir(), "ui", "gui", "cmd/qvm-remote-admin", "cmd/qvm-remote-gui") {
			continue
		}
		if types[f.Dir()] == nil {
			types[f.Dir()] = titled(t, f.Dir())
		}
		for _, c := range f.Calls() {
			if slices.Contains(rowMakers, c.Name) && strings.HasSuffix(c.Pkg, "/adw") && f.Path != rowFile {
				faults = append(faults, t.At(f, c)+" makes a row whose texts are markup; use ui.NewRow")
			}
			if text, ok := asMarkup(c, types[f.Dir()]); ok && f.Path != rowFile && !ourWords(text) {
				faults = append(faults, t.At(f, c)+" hands "+c.Name+" what is neither written there nor escaped, and is taken for markup")
			}
		}
	}
	return faults
}

// TestForeignTextIsNeverMarkup, and neither are our own words that may change.
func TestForeignTextIsNeverMarkup(t *testing.T) {
	t.Parallel()
	tree := load(t)
	if !slices.ContainsFunc(tree.Files, func(f *File) bool { return f.Path == rowFile }) {
		t.Fatalf("there is no %s any more", rowFile)
	}
	report(t, markupFaults(tree))
}

func TestMarkupIsFound(t *testing.T) {
	t.Parallel()
	finds(t, 8, markupFaults(sample(t, map[string]string{
		"ui/row.go": `package ui
import "github.com/diamondburned/gotk4-adwaita/pkg/adw"
func NewRow() { r := adw.NewActionRow(); r.SetObjectProperty("use-markup", false); r.SetTitle(x) }`,
		"gui/admin/a.go": `package admin
import "github.com/diamondburned/gotk4-adwaita/pkg/adw"
type v struct { Title *adw.WindowTitle; Window *gtk.Window; Page *adw.StatusPage; Label *gtk.Label }
func fine(v v) {
	v.Title.SetTitle(name)
	v.Window.SetTitle(name)
	v.Page.SetTitle("Nothing" + " at all")
	v.Page.SetDescription(escape(err.Error()) + ".")
	adw.NewToast(glib.MarkupEscapeText(text, -1))
	v.Page.SetObjectProperty("visible", x)
	v.Page.SetTitle("<b>" + (escape(x)) + "</b>")
}
func wrong(v v) {
	v.Page.SetTitle(name)
	v.Page.SetDescription("it: " + err.Error())
	v.Label.SetMarkup(name)
	adw.NewToast(words.Error(err))
	adw.NewActionRow()
	v.Label.SetObjectProperty("use-markup", true)
	v.Page.SetObjectProperty("description", x)
	row.SetSubtitle(x)
}`,
	})))
}
