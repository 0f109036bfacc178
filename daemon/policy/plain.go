package policy

import (
	"fmt"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// plain returns the commands of a script that is plain commands, or why it is
// not. A script without any command is not.
func plain(script []byte) ([][]string, *obstacle) {
	if len(script) > maxPlain {
		return nil, &obstacle{text: fmt.Sprintf("more than %d bytes", maxPlain)}
	}
	src := string(script)
	commands, o := scan(src)
	if o != nil {
		return nil, o
	}
	if len(commands) == 0 {
		return nil, &obstacle{text: "no command"}
	}
	parsed, o := parsePlain(src)
	if o != nil {
		return nil, o
	}
	if !slices.EqualFunc(commands, parsed, slices.Equal) {
		return nil, &obstacle{text: "two readings of it differ"}
	}
	return commands, nil
}

// parsePlain reads the script with a full parser of bash.
func parsePlain(src string) ([][]string, *obstacle) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(src), "")
	if err != nil {
		return nil, &obstacle{text: "bash would not read it: " + err.Error()}
	}
	w := &walker{}
	w.statements(file.Stmts)
	return w.commands, w.found
}

// walker gathers the commands of a parsed script and the first thing in it that
// is none.
type walker struct {
	commands [][]string
	found    *obstacle
}

func (w *walker) stop(at syntax.Node, text string) {
	if w.found == nil {
		w.found = &obstacle{line: int(at.Pos().Line()), column: int(at.Pos().Col()), text: text}
	}
}

func (w *walker) statements(list []*syntax.Stmt) {
	for _, s := range list {
		w.statement(s)
	}
}

// statement takes one apart. It nests as deep as the script has commands, which
// the scanner bounds.
func (w *walker) statement(s *syntax.Stmt) {
	if s.Negated || s.Background || s.Coprocess {
		w.stop(s, "more than a plain command")
		return
	}
	for _, r := range s.Redirs {
		if !harmless(r) {
			w.stop(r, "a redirection")
		}
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		w.call(c)
	case *syntax.BinaryCmd:
		if c.Op != syntax.AndStmt && c.Op != syntax.OrStmt && c.Op != syntax.Pipe || len(s.Redirs) > 0 {
			w.stop(c, "'"+c.Op.String()+"'")
			return
		}
		w.statement(c.X)
		w.statement(c.Y)
	default:
		w.stop(s, "more than a plain command")
	}
}

func harmless(r *syntax.Redirect) bool {
	if r.Hdoc != nil || r.N != nil && r.N.Value != "1" && r.N.Value != "2" || r.Word == nil {
		return false
	}
	switch to := r.Word.Lit(); r.Op {
	case syntax.DplOut:
		return to == "1" || to == "2"
	case syntax.RdrOut:
		return to == "/dev/null"
	case syntax.RdrIn:
		return to == "/dev/null" && r.N == nil
	}
	return false
}

func (w *walker) call(c *syntax.CallExpr) {
	if len(c.Assigns) > 0 || len(c.Args) == 0 {
		w.stop(c, "an assignment")
		return
	}
	var words []string
	for _, a := range c.Args {
		text, ok := literalWord(a)
		if !ok {
			w.stop(a, "a word that is not literal")
			return
		}
		words = append(words, text)
	}
	w.commands = append(w.commands, words)
}

// literalWord takes the quotes off a word that is the same whoever runs it.
func literalWord(w *syntax.Word) (string, bool) {
	var b strings.Builder
	for _, p := range w.Parts {
		switch p := p.(type) {
		case *syntax.Lit:
			unescape(&b, p.Value, "")
		case *syntax.SglQuoted:
			if p.Dollar {
				return "", false
			}
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			if p.Dollar {
				return "", false
			}
			for _, in := range p.Parts {
				lit, ok := in.(*syntax.Lit)
				if !ok {
					return "", false
				}
				unescape(&b, lit.Value, "$`\"\\")
			}
		default:
			return "", false
		}
	}
	return b.String(), true
}

// unescape takes the backslashes away that quote a character of those, "" for
// any.
func unescape(b *strings.Builder, s, those string) {
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) && (those == "" || strings.IndexByte(those, s[i+1]) >= 0) {
			i++
		}
		b.WriteByte(s[i])
	}
}
