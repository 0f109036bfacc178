package daemon

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
)

// findingKinds reads the kinds of findings from their source.
func findingKinds(t *testing.T) (kinds []string) {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "audit/finding.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "FindingKind" {
				text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				kinds = append(kinds, text)
			}
		}
		return true
	})
	return kinds
}

// TestEachTroubleHasATitle: people read titles, in the program and in the
// document, and the two say the same.
func TestEachTroubleHasATitle(t *testing.T) {
	t.Parallel()
	kinds := findingKinds(t)
	if len(kinds) < 10 {
		t.Fatalf("found only the kinds %q", kinds)
	}
	for _, kind := range kinds {
		h := NewHealth(healthAudit+kind, "text")
		if h.Title == "Something is wrong" || h.Severity != audit.FindingKind(kind).Severity() {
			t.Errorf("%s has no title, or another severity than the finding: %+v", kind, h)
		}
	}
	if h := NewHealth("key-work", "text"); h.Title != registered[HealthKey].title {
		t.Errorf("a qube's key: %+v", h)
	}
	if h := NewHealth("never-heard-of", "text"); h.Severity != audit.Error || h.Title == "" {
		t.Errorf("an unknown trouble: %+v", h)
	}
	doc, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-zA-Z-]+)` \\| (info|warning|error) \\| (.*) \\|$").FindAllStringSubmatch(string(doc), -1) {
		rows[strings.TrimSuffix(m[1], "QUBE")] = m[2] + " " + m[3]
	}
	for code, r := range registered {
		if want := string(r.severity) + " " + r.title; rows[code] != want {
			t.Errorf("docs/architecture.md says of %s %q, want %q", code, rows[code], want)
		}
		delete(rows, code)
	}
	for code := range rows {
		t.Errorf("docs/architecture.md has %s, which is not registered", code)
	}
}
