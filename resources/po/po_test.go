package po

import (
	"bytes"
	"go/ast"
	"go/parser"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/leonelquinteros/gotext"
)

const root = "../.."

// catalogues are those that lie here.
func catalogues(t *testing.T) map[string]*gotext.Po {
	t.Helper()
	files, err := filepath.Glob("*.po")
	if err != nil || len(files) == 0 {
		t.Fatalf("no catalogues: %v", err)
	}
	found := map[string]*gotext.Po{}
	for _, file := range files {
		found[file] = gotext.NewPo()
		found[file].ParseFile(file)
	}
	return found
}

// TestCataloguesAreComplete: whoever reads German reads no English between, and
// nothing that was said once is kept.
func TestCataloguesAreComplete(t *testing.T) {
	t.Parallel()
	list, err := Messages(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, po := range catalogues(t) {
		if text, err := os.ReadFile(file); err != nil || bytes.Contains(text, []byte("\n#, fuzzy")) {
			t.Errorf("%s has guesses, which msgfmt leaves out: %v", file, err)
		}
		said := map[key]bool{{}: true} // the header
		for _, m := range list {
			said[key{m.Context, m.Text}] = true
			if !translated(po, m) {
				t.Errorf("%s has no %q (%s); make po adds it", file, m.Text, strings.Join(m.Places, ", "))
			}
		}
		for text := range po.GetDomain().GetTranslations() {
			if !said[key{"", text}] {
				t.Errorf("%s: nobody says %q any more; make po removes it", file, text)
			}
		}
		for context, texts := range po.GetDomain().GetCtxTranslations() {
			for text := range texts {
				if text != "" && !said[key{context, text}] { // the library keeps an empty one of each context
					t.Errorf("%s: nobody says %q of %q any more; make po removes it", file, text, context)
				}
			}
		}
	}
}

func translated(po *gotext.Po, m Message) bool {
	switch {
	case m.Plural != "":
		return po.IsTranslatedN(m.Text, 1) && po.IsTranslatedN(m.Text, 2)
	case m.Context != "":
		return po.IsTranslatedC(m.Text, m.Context)
	}
	return po.IsTranslated(m.Text)
}

// TestTranslationsAreFilledInAlike: one that takes other arguments would show
// Go's complaint in place of a name.
func TestTranslationsAreFilledInAlike(t *testing.T) {
	t.Parallel()
	list, err := Messages(root)
	if err != nil {
		t.Fatal(err)
	}
	for file, po := range catalogues(t) {
		for _, m := range list {
			forms := []string{po.GetC(m.Text, m.Context, []any{}...)}
			if m.Context == "" {
				forms = []string{po.Get(m.Text, []any{}...)}
			}
			if m.Plural != "" {
				forms = []string{po.GetN(m.Text, m.Plural, 1, []any{}...), po.GetN(m.Text, m.Plural, 2, []any{}...)}
			}
			for _, form := range forms {
				if got, want := verbs(form), verbs(m.Text); !slices.Equal(got, want) {
					t.Errorf("%s: %q takes %q, but %q takes %q", file, form, got, m.Text, want)
				}
				// The first sentence of a refusal stands alone in a list.
				if slices.Contains(m.Places, "queue/reason.go") && strings.Count(form, ". ") != strings.Count(m.Text, ". ") {
					t.Errorf("%s: %q has other sentences than %q", file, form, m.Text)
				}
				// Some texts of views are shown where GTK takes them for markup.
				if strings.ContainsAny(form, "<>&") && !strings.ContainsAny(m.Text, "<>&") {
					t.Errorf("%s: %q could be taken for markup, unlike %q", file, form, m.Text)
				}
			}
		}
	}
}

var verb = regexp.MustCompile(`%(\[(\d+)\])?([-+# 0]*[0-9.]*[a-zA-Z%])`)

// verbs are what a format does with each of its arguments, in their order.
func verbs(format string) []string {
	found := map[int]string{}
	next := 1
	for _, m := range verb.FindAllStringSubmatch(format, -1) {
		if m[3] == "%" {
			continue
		}
		if m[2] != "" {
			next = int(m[2][0] - '0')
		}
		found[next] = m[3]
		next++
	}
	var list []string
	for i := 1; len(list) < len(found); i++ {
		list = append(list, found[i])
	}
	return list
}

// TestWhatIsNoLiteralIsAnError: it would be shown in English without a word.
func TestWhatIsNoLiteralIsAnError(t *testing.T) {
	t.Parallel()
	for call, fine := range map[string]bool{
		`i18n.T("a" + ("b" + "c"), x)`: true, `i18n.N(n, "a", "b")`: true, `other.T(x)`: true,
		`i18n.T(x)`: false, `i18n.T("a" + x)`: false, `i18n.T()`: false, `i18n.N(n, "a", x)`: false, `i18n.C(x, "a")`: false,
	} {
		e, err := parser.ParseExpr(call)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := message(e.(*ast.CallExpr)); (err == nil) != fine {
			t.Errorf("%s: %v", call, err)
		}
	}
}

func TestMessagesAreFound(t *testing.T) {
	t.Parallel()
	list, err := Messages(root)
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]Message{
		"in a view":        {Text: "Start at boot"},
		"in Go":            {Text: "You would be asked"},
		"with a plural":    {Text: "%d line", Plural: "%d lines"},
		"with a context":   {Context: "month", Text: "May"},
		"of the contract":  {Text: "the script is empty"},
		"of a later one's": {Text: "dom0 refused the request"},
	} {
		if !slices.ContainsFunc(list, func(m Message) bool {
			return m.Context == want.Context && m.Text == want.Text && m.Plural == want.Plural
		}) {
			t.Errorf("%s: %q is not found", what, want.Text)
		}
	}
}
