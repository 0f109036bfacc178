package client

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Printable makes text that came from a file safe for a terminal and for one
// line: control characters, invisible and reordering ones and broken UTF-8
// become escapes such as \n or \u202e.
func Printable(s string) string {
	if !strings.ContainsFunc(s, hidden) && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for i, r := range s {
		switch _, size := utf8.DecodeRuneInString(s[i:]); {
		case r == utf8.RuneError && size == 1:
			b.WriteString(`\x` + strconv.FormatUint(uint64(s[i])|0x100, 16)[1:])
		case hidden(r):
			q := strconv.QuoteRuneToASCII(r)
			b.WriteString(q[1 : len(q)-1])
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	return r != ' ' && !unicode.IsPrint(r)
}

// summary is the beginning of a script on one line: white space is one blank,
// at most max characters.
func summary(script []byte, max int) string {
	script = script[:min(len(script), 8*max)]
	runes := []rune(Printable(strings.Join(strings.Fields(string(script)), " ")))
	return string(runes[:min(len(runes), max)])
}

// Quote spells arguments so that bash reads exactly them, and the first of
// them as a command's name.
func Quote(args []string) string {
	words := make([]string, len(args))
	for i, a := range args {
		words[i] = quoteWord(a)
		if i == 0 && reserved[a] {
			words[i] = "'" + a + "'"
		}
	}
	return strings.Join(words, " ")
}

const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+:,./-"

func quoteWord(s string) string {
	if s != "" && strings.Trim(s, plain) == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// reserved are bash's words that would begin something else than a command.
var reserved = map[string]bool{"if": true, "then": true, "elif": true, "else": true, "fi": true, "for": true,
	"while": true, "until": true, "do": true, "done": true, "case": true, "esac": true, "in": true,
	"function": true, "select": true, "time": true, "coproc": true}
