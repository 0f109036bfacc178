package rules

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// spoken are the files with what people read in a window; the rest of gui is
// settings, logs, and what is said where there is no window.
func spoken(f *File) bool {
	return Under(f.Dir(), "ui", "gui") && !Under(f.Dir(), "ui/i18n", "gui/frames", "gui/prefs", "gui/autostart", "gui/program") && !f.Test()
}

// readable is text that looks like words for people: a capital begins it, or it
// has two words.
var readable = regexp.MustCompile(`^[A-Z][a-z]+( |…|:|\.|$)|[a-z]{2,} [a-z]{2,}`)

// sameInAll is what has one name in every language.
var sameInAll = []string{"Qubes Remote"}

// unread are functions and methods whose texts are for a program, and those that
// make errors: one of those that says a cause may be in English, and no rule can
// tell which these are.
var unread = []string{"AddCSSClass", "Errorf", "New", "NewShortcutTriggerParseString"}

// untranslated lists texts for people that do not go through i18n.
func untranslated(t *Tree) []string {
	var faults []string
	for _, f := range t.Files {
		if !spoken(f) {
			continue
		}
		compared := map[ast.Node]bool{} // with what a program says
		ast.Inspect(f.AST, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.ImportSpec, *ast.Field:
				return false
			case *ast.CaseClause:
				for _, e := range n.List {
					compared[e] = true
				}
			case *ast.BinaryExpr:
				if n.Op == token.EQL || n.Op == token.NEQ {
					compared[n.X], compared[n.Y] = true, true
				}
			case *ast.CallExpr:
				if s, ok := n.Fun.(*ast.SelectorExpr); ok {
					x, _ := s.X.(*ast.Ident)
					return !(x != nil && x.Name == "i18n") && !slices.Contains(unread, s.Sel.Name)
				}
			case *ast.BasicLit:
				if forPeople(n) && !compared[n] {
					faults = append(faults, t.At(f, n)+" says "+n.Value+" in English only; see ui/i18n")
				}
			}
			return true
		})
	}
	return faults
}

func forPeople(l *ast.BasicLit) bool {
	text, err := strconv.Unquote(l.Value)
	command := strings.HasPrefix(text, "qvm-") || strings.HasPrefix(text, "--")
	return l.Kind == token.STRING && err == nil && !command && readable.MatchString(text) && !slices.Contains(sameInAll, text)
}

// TestWhatPeopleReadIsTranslated: a window speaks one language.
func TestWhatPeopleReadIsTranslated(t *testing.T) {
	t.Parallel()
	tree := load(t)
	if !slices.ContainsFunc(tree.Files, spoken) {
		t.Fatal("there is no desktop program")
	}
	report(t, untranslated(tree))
}

func TestEnglishAloneIsFound(t *testing.T) {
	t.Parallel()
	finds(t, 3, untranslated(sample(t, map[string]string{
		"gui/admin/a.go": `package admin
import "qvmremote/ui/i18n"
var a, b = i18n.T("Look again"), "Look again"
func f(state string, l label) error {
	if state == "Running" { l.SetText("not known") }
	switch state { case "Halted": l.SetText("qvm-remote key show") }
	l.AddCSSClass("Some")
	l.SetText("Request of " + i18n.T("All qubes"))
	return errors.New("cannot be")
}`,
		"gui/prefs/a.go": "package prefs\nvar a = \"Look again\"",
	})))
}
