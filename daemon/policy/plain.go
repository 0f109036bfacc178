package policy

import (
	"fmt"
	"strings"
	"sync"

	"mvdan.cc/sh/v3/syntax"
)

// analyser tells what a script runs. It keeps the parsers that are not in use.
type analyser struct {
	parsers sync.Pool
	fault   fault
}

// fault is a mistake that a test puts in, to see that it would be found. There
// is none in any policy.
type fault struct {
	bare string          // characters taken for such as stand for themselves
	seen map[string]bool // words of bash taken for programs
}

func newAnalyser() *analyser {
	return &analyser{parsers: sync.Pool{New: func() any { return syntax.NewParser(syntax.Variant(syntax.LangBash)) }}}
}

// plain returns the commands of a script that is plain commands, or why it is
// not. A script without any command is not.
func (a *analyser) plain(script []byte) ([][]string, *obstacle) {
	if len(script) > maxPlain {
		return nil, &obstacle{text: fmt.Sprintf("more than %d bytes", maxPlain)}
	}
	src := string(script)
	commands, o := scan(src, a.fault)
	if o != nil {
		return nil, o
	}
	if len(commands) == 0 {
		return nil, &obstacle{text: "no command"}
	}
	if o := a.confirm(src, commands); o != nil {
		return nil, o
	}
	return commands, nil
}

// confirm reads the script with a full parser of bash, which must find these
// commands and nothing else.
func (a *analyser) confirm(src string, commands [][]string) *obstacle {
	parser := a.parsers.Get().(*syntax.Parser)
	defer a.parsers.Put(parser)
	file, err := parser.Parse(strings.NewReader(src), "")
	if err != nil {
		return &obstacle{text: "bash would not read it: " + err.Error()}
	}
	w := &walker{commands: commands}
	for _, s := range file.Stmts {
		w.statement(s)
	}
	if w.found == nil && len(w.commands) > 0 {
		return &obstacle{text: differ}
	}
	return w.found
}

const differ = "two readings of it differ"

// walker holds a parsed script against the commands that the scanner found, and
// keeps the first thing that is none of them.
type walker struct {
	commands [][]string // not met yet
	found    *obstacle
}

func (w *walker) stop(at syntax.Node, text string) {
	if w.found == nil {
		w.found = &obstacle{line: int(at.Pos().Line()), column: int(at.Pos().Col()), text: text}
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
	if len(c.Assigns) > 0 {
		w.stop(c, "an assignment")
		return
	}
	if len(w.commands) == 0 || len(w.commands[0]) != len(c.Args) {
		w.stop(c, differ)
		return
	}
	for i, a := range c.Args {
		if !isLiteral(a, w.commands[0][i]) {
			w.stop(a, differ)
			return
		}
	}
	w.commands = w.commands[1:]
}

// isLiteral reports whether w is that text without its quotes, whoever runs it.
func isLiteral(w *syntax.Word, text string) bool {
	for _, p := range w.Parts {
		ok := false
		switch p := p.(type) {
		case *syntax.Lit:
			text, ok = cutLiteral(text, p.Value, "")
		case *syntax.SglQuoted:
			text, ok = strings.CutPrefix(text, p.Value)
			ok = ok && !p.Dollar
		case *syntax.DblQuoted:
			ok = !p.Dollar
			for _, in := range p.Parts {
				lit, isLit := in.(*syntax.Lit)
				if !ok || !isLit {
					return false
				}
				text, ok = cutLiteral(text, lit.Value, "$`\"\\")
			}
		}
		if !ok {
			return false
		}
	}
	return text == ""
}

// cutLiteral cuts from the beginning of text what value stands for, in which a
// backslash quotes one of those characters, "" for any.
func cutLiteral(text, value, those string) (string, bool) {
	for i := 0; i < len(value); i++ {
		if value[i] == '\\' && i+1 < len(value) && (those == "" || strings.IndexByte(those, value[i+1]) >= 0) {
			i++
		}
		if text == "" || text[0] != value[i] {
			return text, false
		}
		text = text[1:]
	}
	return text, true
}
