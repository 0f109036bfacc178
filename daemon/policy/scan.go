package policy

import (
	"fmt"
	"strings"
)

// Bounds of a request that can be plain commands; a larger one is a script.
const (
	maxPlain    = 64 << 10 // bytes
	maxCommands = 1000
)

// obstacle says why a request is not plain commands.
type obstacle struct {
	line, column int // of the script, from 1; 0 = the whole of it
	text         string
}

func (o *obstacle) Error() string {
	if o.line == 0 {
		return o.text
	}
	return fmt.Sprintf("line %d, column %d: %s", o.line, o.column, o.text)
}

// scanner reads a script that is plain commands: words, what separates
// commands, comments, and the few redirections that touch no file. Whatever
// else it meets, it stops. It sees every byte before the parser does, so that
// the parser meets no deep nesting.
type scanner struct {
	src      string
	at       int
	commands [][]string
	words    []string // of the command being read
	wordAt   int      // where its first word begins
	fault    fault
}

// scan returns the commands, each at least one word.
func scan(script string, f fault) ([][]string, *obstacle) {
	// Room for what most scripts have; it grows where there is more.
	s := &scanner{src: script, fault: f, words: make([]string, 0, len(script)/8+4), commands: make([][]string, 0, len(script)/24+1)}
	for s.at < len(s.src) {
		if o := s.token(); o != nil {
			return nil, o
		}
	}
	if o := s.endCommand(); o != nil {
		return nil, o
	}
	return s.commands, nil
}

// token reads one token, where one may begin.
func (s *scanner) token() *obstacle {
	rest := s.src[s.at:]
	switch c := rest[0]; {
	case c == ' ' || c == '\t':
		s.at++
	case strings.HasPrefix(rest, "\\\n"):
		s.at += 2 // the command goes on in the next line
	case c == '\n' || c == ';':
		return s.separator(1)
	case strings.HasPrefix(rest, "&&") || strings.HasPrefix(rest, "||"):
		return s.separator(2)
	case strings.HasPrefix(rest, "|&"):
		return s.stop("'|&'")
	case c == '|':
		return s.separator(1)
	case c == '#':
		return s.comment()
	default:
		if n := harmlessRedirect(rest); n > 0 && len(s.words) > 0 {
			s.at += n
			return nil
		}
		return s.word()
	}
	return nil
}

// separator ends a command with n bytes.
func (s *scanner) separator(n int) *obstacle {
	if o := s.endCommand(); o != nil {
		return o
	}
	s.at += n
	return nil
}

func (s *scanner) endCommand() *obstacle {
	if len(s.words) == 0 {
		return nil
	}
	if text := unseen(s.words); text != "" && !s.fault.seen[s.words[0]] {
		return s.stopAt(s.wordAt, text)
	}
	if len(s.commands) == maxCommands {
		return &obstacle{text: fmt.Sprintf("more than %d commands", maxCommands)}
	}
	// The words of all commands lie behind one another in one slice.
	s.commands = append(s.commands, s.words[:len(s.words):len(s.words)])
	s.words = s.words[len(s.words):]
	return nil
}

func (s *scanner) comment() *obstacle {
	for ; s.at < len(s.src) && s.src[s.at] != '\n'; s.at++ {
		if !visible(s.src[s.at]) {
			return s.stop(notVisible)
		}
		// To bash a comment ends there, to the parser it goes on.
		if s.src[s.at] == '\\' && s.at+1 < len(s.src) && s.src[s.at+1] == '\n' {
			return s.stop("a comment whose line ends in a backslash")
		}
	}
	return nil
}

// word reads one word and takes its quotes off.
func (s *scanner) word() *obstacle {
	start := s.at
	for s.at < len(s.src) && (s.bare(s.src[s.at]) || s.src[s.at] == '#' && s.at > start) {
		s.at++
	}
	if s.at > start && (s.at == len(s.src) || strings.IndexByte(wordEnds, s.src[s.at]) >= 0) {
		s.add(start, s.src[start:s.at]) // most words have no quotes
		return nil
	}
	var b strings.Builder
	b.WriteString(s.src[start:s.at])
	for s.at < len(s.src) {
		c := s.src[s.at]
		switch {
		case s.bare(c) || c == '#' && s.at > start:
			b.WriteByte(c)
			s.at++
			continue
		case c == '\\':
			if s.at+1 >= len(s.src) || !visible(s.src[s.at+1]) || s.src[s.at+1] == '\t' {
				return s.stop("a backslash that quotes no character")
			}
			b.WriteByte(s.src[s.at+1])
			s.at += 2
			continue
		case c == '\'' || c == '"':
			if o := s.quoted(c, &b); o != nil {
				return o
			}
			continue
		case strings.IndexByte(wordEnds, c) < 0:
			return s.stop(special(c))
		}
		break
	}
	if s.at == start {
		return s.stop(special(s.src[s.at]))
	}
	s.add(start, b.String())
	return nil
}

const wordEnds = " \t\n;&|"

func (s *scanner) add(start int, word string) {
	if len(s.words) == 0 {
		s.wordAt = start
	}
	s.words = append(s.words, word)
}

// quoted reads what stands between two quotes q.
func (s *scanner) quoted(q byte, b *strings.Builder) *obstacle {
	open := s.at
	for s.at++; s.at < len(s.src); s.at++ {
		c := s.src[s.at]
		switch {
		case c == q:
			s.at++
			return nil
		case c != '\n' && !visible(c):
			return s.stop(notVisible)
		case q == '"' && (c == '$' || c == '`'):
			return s.stop(special(c))
		case q == '"' && c == '\\':
			if s.at+1 >= len(s.src) || s.src[s.at+1] == '\n' {
				return s.stop("a backslash that quotes no character")
			}
			if next := s.src[s.at+1]; strings.IndexByte("$`\"\\", next) >= 0 {
				s.at++
				c = next
			}
		}
		b.WriteByte(c)
	}
	return s.stopAt(open, "a quote that is not closed")
}

func (s *scanner) bare(c byte) bool {
	return bare(c) || s.fault.bare != "" && strings.IndexByte(s.fault.bare, c) >= 0
}

// bare reports whether c stands for itself in a word without quotes, wherever
// it is.
func bare(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("_-./+:@%,=!", c) >= 0
}

// visible reports whether c is a character that people see as what it is, or a
// tab. Nothing else can be in plain commands: what a blank is, and how bytes
// make characters, depends on dom0's locale, and look-alikes on the reader.
func visible(c byte) bool { return c >= ' ' && c <= '~' || c == '\t' }

const notVisible = "a character that is not visible ASCII"

// special says what a character does that is no part of a plain word.
func special(c byte) string {
	switch {
	case !visible(c):
		return notVisible
	case c == '$':
		return "'$' (a variable or a substitution)"
	case c == '`':
		return "'`' (a substitution)"
	case c == '<' || c == '>':
		return "'" + string(c) + "' (a redirection)"
	case c == '&':
		return "'&' (in the background)"
	case c == '*' || c == '?' || c == '[' || c == ']':
		return "'" + string(c) + "' (a pattern for names of files)"
	case c == '{' || c == '}':
		return "'" + string(c) + "' (braces)"
	case c == '~':
		return "'~' (somebody's home)"
	}
	return "'" + string(c) + "' outside of quotes"
}

// harmlessRedirect returns the length of a redirection at the beginning of s
// that reads and writes no file: between stdout and stderr, or to or from
// /dev/null. It is 0 for any other.
func harmlessRedirect(s string) int {
	rest := s
	if rest[0] == '<' {
		rest = rest[1:]
	} else {
		if rest[0] == '1' || rest[0] == '2' {
			rest = rest[1:]
		}
		if !strings.HasPrefix(rest, ">") {
			return 0
		}
		rest = rest[1:]
		if after, ok := cutOneOf(rest, "&1", "&2"); ok {
			return ended(s, after)
		}
	}
	after, ok := strings.CutPrefix(strings.TrimLeft(rest, " \t"), "/dev/null")
	if !ok {
		return 0
	}
	return ended(s, after)
}

func cutOneOf(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if after, ok := strings.CutPrefix(s, p); ok {
			return after, true
		}
	}
	return s, false
}

// ended returns the bytes of s before after, where a token can end there.
func ended(s, after string) int {
	if after != "" && strings.IndexByte(" \t\n;|", after[0]) < 0 && !strings.HasPrefix(after, "&&") {
		return 0
	}
	return len(s) - len(after)
}

func (s *scanner) stop(text string) *obstacle { return s.stopAt(s.at, text) }

func (s *scanner) stopAt(at int, text string) *obstacle {
	before := s.src[:at]
	return &obstacle{
		line:   1 + strings.Count(before, "\n"),
		column: at - strings.LastIndexByte(before, '\n'),
		text:   text,
	}
}
