package client

import (
	"strings"

	"qvmremote/queue"
)

// summary is the beginning of a script on one line: white space is one blank,
// at most max characters.
func summary(script []byte, max int) string {
	script = script[:min(len(script), 8*max)]
	return queue.Escape(strings.Join(strings.Fields(string(script)), " "), max)
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
