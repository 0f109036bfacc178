package policy

import (
	"math/rand/v2"
	"strings"
)

// choices decides what a generator makes: bytes of a fuzzer, or random numbers.
type choices struct {
	bytes []byte
	rand  *rand.Rand // when there are no bytes
}

func (c *choices) below(n int) int {
	if c.rand != nil {
		return c.rand.IntN(n)
	}
	if len(c.bytes) == 0 {
		return 0
	}
	b := c.bytes[0]
	c.bytes = c.bytes[1:]
	return int(b) % n
}

func (c *choices) of(list []string) string { return list[c.below(len(list))] }

func (c *choices) oneIn(n int) bool { return c.below(n) == n-1 }

// The words of generated scripts. Every program is a stub or is not there.
var (
	stubs   = []string{"qvm-a", "qvm-b", "no"} // no fails
	letters = []string{"a", "b", "1", "2", "-", "--x", "/", "..", ".", "=", ",", ":", "@", "%", "+", "_", "!", "#", "qvm-a", "x=y", "a#b", "9", "if", "then", "do", "done", "in"}
	inside  = []string{"a", " ", "b", "\t", "\n", "$x", "*", "{a,b}", ";", "&", "|", "#", "~", "<", ">", "(", ")", "\\n", "\\", "!", "=", "`no`", "$(qvm-b)"}
	tricks  = []string{
		"$x", "${x}", "$(qvm-b s)", "`qvm-b s`", "$'\\x61'", `$"a"`, "$((1+1))", "$", "{a,b}", "{1..3}", "{", "}", "*", "?", "[a-z]", "[", "]", "~", "~root", "a=~",
		">f", "2>f", "<f", "<<E", "<<<a", "<(no)", ">(no)", "2>&1", ">/dev/null", "&>/dev/null", "{fd}>f", "&", "(", ")", "\\\n", "\\", "'", `"`, "\r", "\x00", "\xff",
		"\u00a0", "\u202e", "@(a)", "!(a)", "^", "#",
	}
	heads = []string{
		"command", "builtin", "exec", "eval", "source", ".", "trap", "alias", "set", "shopt", "export", "declare", "readonly", "unset", "cd", "read", "printf", "test", "let",
		"time", "!", "if", "then", "while", "{", "coproc", "function", "[[", "((", "case", "echo", "true", ":", "exit", "false", "pwd", "x=1", "PATH=", "a[0]=1", "qvm-a()", "%1", "-a",
		"env", "qvm-c", "enable", "hash", "type", "wait", "jobs", "return", "break",
	}
	separators = []string{";", "\n", " && ", " || ", " | ", ";\n", "\n\n", " &&\n", "|", "||", "&&", " \\\n"}
	oddOnes    = []string{"&", " & ", ";;", "|&", "&|", "\r", "\r\n", " ; ; ", "#", " #", ";#\n", "\\\n", "(", ")", "{ ", " }", "&>", "<", ">"}
)

// script makes one: mostly plain commands, with something that hides a command
// here and there, and now and then a byte changed.
func (c *choices) script() string {
	var b strings.Builder
	for n := 1 + c.below(4); n > 0; n-- {
		c.command(&b)
		if c.oneIn(12) {
			b.WriteString(c.of(oddOnes))
		} else {
			b.WriteString(c.of(separators))
		}
		if c.oneIn(10) {
			b.WriteString("# " + c.of(inside) + c.of(letters) + "\n")
		}
	}
	c.command(&b)
	s := b.String()
	for c.oneIn(5) {
		s = c.changed(s)
	}
	return s
}

func (c *choices) command(b *strings.Builder) {
	if c.oneIn(5) {
		b.WriteString(c.of(heads) + " ")
	}
	if c.oneIn(6) {
		c.word(b)
	} else {
		b.WriteString(c.of(stubs))
	}
	for n := c.below(4); n > 0; n-- {
		b.WriteString(c.of([]string{" ", "  ", "\t", " \\\n"}))
		if c.oneIn(12) {
			b.WriteString(c.of([]string{"2>&1", ">/dev/null", "2> /dev/null", "</dev/null", ">&2", "1>&2"}))
			continue
		}
		c.word(b)
	}
}

func (c *choices) word(b *strings.Builder) {
	for n := 1 + c.below(3); n > 0; n-- {
		switch c.below(8) {
		case 0:
			b.WriteString("'" + c.of(inside) + c.of(inside) + "'")
		case 1:
			b.WriteString(`"` + c.of(inside) + c.of(letters) + `"`)
		case 2:
			b.WriteString(`\` + c.of(inside))
		case 3:
			if c.oneIn(3) {
				b.WriteString(c.of(tricks))
			}
		default:
			b.WriteString(c.of(letters))
		}
	}
}

// changed takes a byte out of s, doubles one, or puts something in.
func (c *choices) changed(s string) string {
	at := c.below(len(s) + 1)
	switch c.below(3) {
	case 0:
		if at < len(s) {
			return s[:at] + s[at+1:]
		}
	case 1:
		if at < len(s) {
			return s[:at] + s[at:at+1] + s[at:]
		}
	}
	return s[:at] + c.of([]string{" ", "'", `"`, "\\", "\n", ";", "|", "&", "#", "$", "`", "{", "}", "*", "~", "=", "(", "<", ">"}) + s[at:]
}
