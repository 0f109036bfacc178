package settings

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"qvmremote/queue"
)

// assignment is one NAME=VALUE, and where it stands.
type assignment struct {
	name, value string
	where       string // "PATH:7" or "environment"
	line        int    // index in the file
	exported    bool   // with "export" before it
	comment     string // from the "#" behind it on
}

// parse reads the whole file. Each name may be set once.
func parse(path, text string) ([]assignment, error) {
	var set []assignment
	first := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		where := fmt.Sprintf("%s:%d", path, i+1)
		a, ok, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", where, err)
		}
		if !ok {
			continue
		}
		if n, twice := first[a.name]; twice {
			return nil, fmt.Errorf("%s: %s is set a second time, first in line %d; keep one of them", where, a.name, n)
		}
		first[a.name] = i + 1
		a.line, a.where = i, where
		set = append(set, a)
	}
	return set, nil
}

// parseLine reads one line; ok is false for an empty one and for a comment.
// The forms are those that mean the same to a shell and to systemd, and the
// value without quotes but with spaces that the first version read.
func parseLine(line string) (a assignment, ok bool, err error) {
	line = strings.TrimSuffix(line, "\r")
	if !utf8.ValidString(line) {
		return a, false, errors.New("not UTF-8")
	}
	if i := strings.IndexFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }); i >= 0 {
		return a, false, errors.New("a control character")
	}
	line = strings.Trim(line, " \t")
	if line == "" || line[0] == '#' {
		return a, false, nil
	}
	if word, rest, spaced := cutSpace(line); spaced && word == "export" {
		line, a.exported = rest, true
	}
	name, value, found := strings.Cut(line, "=")
	if !found {
		return a, false, fmt.Errorf("no '=' in %s; a comment begins with '#'", queue.Quote(line, 40))
	}
	if !validName(name) {
		return a, false, fmt.Errorf("%s is not a name (letters, digits, '_'; no space before '=')", queue.Quote(name, 40))
	}
	a.name = name
	a.value, a.comment, err = parseValue(value)
	if err != nil {
		return a, false, fmt.Errorf("%s: %w", name, err)
	}
	return a, true, nil
}

// cutSpace cuts at the first white space, all of it.
func cutSpace(s string) (word, rest string, spaced bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimLeft(s[i:], " \t"), true
}

func validName(s string) bool {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
	return s != "" && strings.Trim(s, letters+"0123456789") == "" && strings.ContainsRune(letters, rune(s[0]))
}

// parseValue splits what follows "=" into the value and a comment behind it.
func parseValue(s string) (value, comment string, err error) {
	rest := ""
	switch {
	case s != "" && (s[0] == '"' || s[0] == '\''):
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 {
			return "", "", errors.New("the quote is not closed in this line")
		}
		value, rest = s[1:1+end], s[2+end:]
		if trimmed := strings.TrimLeft(rest, " \t"); trimmed != "" && (trimmed[0] != '#' || trimmed == rest) {
			return "", "", fmt.Errorf("%s after the closing quote", queue.Quote(rest, 40))
		}
	default:
		end := len(s)
		for i := range len(s) {
			if s[i] == '#' && i > 0 && (s[i-1] == ' ' || s[i-1] == '\t') {
				end = i
				break
			}
		}
		value, rest = strings.Trim(s[:end], " \t"), s[end:]
		if strings.ContainsAny(value, `"'`) {
			return "", "", errors.New("a quote in the middle; put the whole value in quotes")
		}
	}
	if strings.ContainsAny(value, "$`\\") {
		return "", "", errors.New("'$', '`' and '\\' are not expanded here; write the value itself")
	}
	return strings.Trim(value, " \t"), strings.TrimLeft(rest, " \t"), nil
}
