// Package po finds the messages of the desktop programs, for the catalogues that
// lie beside it: `make po` brings these up to date.
//
// It guarantees that a message it cannot read in the source, since it is no
// literal, is an error and not a message without a translation.
package po

import (
	"bufio"
	"cmp"
	"fmt"
	"go/ast"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Message is what translators are given.
type Message struct {
	Context, Text, Plural string
	Places                []string // files, below the root
}

// key is what makes a message one message.
type key struct{ context, text string }

// Messages are those of the desktop programs in the tree at root, in the order
// of their texts.
func Messages(root string) ([]Message, error) {
	found := messages{}
	if err := found.views(root); err != nil {
		return nil, fmt.Errorf("cannot find the messages of the views: %w", err)
	}
	if err := found.source(root); err != nil {
		return nil, fmt.Errorf("cannot find the messages in the source: %w", err)
	}
	list := slices.Collect(maps.Values(found))
	slices.SortFunc(list, func(a, b Message) int {
		return cmp.Or(cmp.Compare(a.Text, b.Text), cmp.Compare(a.Context, b.Context))
	})
	return list, nil
}

type messages map[key]Message

func (m messages) add(found Message, place string) error {
	at := key{found.Context, found.Text}
	known, ok := m[at]
	switch {
	case found.Text == "":
		return fmt.Errorf("%s: an empty message", place)
	case !ok:
		known = found
	case known.Plural == "":
		known.Plural = found.Plural
	case found.Plural != "" && found.Plural != known.Plural:
		return fmt.Errorf("%s: %q has two plurals, %q and %q", place, found.Text, known.Plural, found.Plural)
	}
	if !slices.Contains(known.Places, place) {
		known.Places = append(known.Places, place)
	}
	m[at] = known
	return nil
}

// literal is the text of literals joined by +.
func literal(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.BinaryExpr:
		left, okLeft := literal(e.X)
		right, okRight := literal(e.Y)
		return left + right, okLeft && okRight
	case *ast.ParenExpr:
		return literal(e.X)
	}
	return "", false
}

// Write writes a template: a catalogue without translations.
func Write(w io.Writer, list []Message) error {
	out := bufio.NewWriter(w)
	fmt.Fprint(out, "msgid \"\"\nmsgstr \"\"\n\"Content-Type: text/plain; charset=UTF-8\\n\"\n\"Content-Transfer-Encoding: 8bit\\n\"\n")
	for _, m := range list {
		fmt.Fprintf(out, "\n#: %s\n", strings.Join(m.Places, " "))
		if m.Context != "" {
			fmt.Fprintf(out, "msgctxt %s\n", quote(m.Context))
		}
		fmt.Fprintf(out, "msgid %s\n", quote(m.Text))
		if m.Plural != "" {
			fmt.Fprintf(out, "msgid_plural %s\nmsgstr[0] \"\"\nmsgstr[1] \"\"\n", quote(m.Plural))
		} else {
			fmt.Fprint(out, "msgstr \"\"\n")
		}
	}
	return out.Flush() // with the first error of all writes
}

// quote is a string as gettext's files have it.
func quote(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(text) + `"`
}
