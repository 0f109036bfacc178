package audit

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

// needle is a text that is looked for without regard to ASCII case, by
// Horspool's method: most of a long text is stepped over.
type needle struct {
	text  []byte // in lower case
	steps [256]int
}

func newNeedle(text string) *needle {
	n := &needle{text: []byte(text)}
	for i, c := range n.text {
		n.text[i] = lower[c]
	}
	last := len(n.text) - 1
	for c := range n.steps {
		n.steps[c] = len(n.text)
		if i := bytes.LastIndexByte(n.text[:max(last, 0)], lower[c]); i >= 0 {
			n.steps[c] = last - i
		}
	}
	return n
}

// lower maps the ASCII capitals to small letters and nothing else.
var lower = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
		if c >= 'A' && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// within reports whether the text stands in s.
func within[T string | []byte](n *needle, s T) bool {
	last := len(n.text) - 1
	if last < 0 {
		return true
	}
	for end := last; end < len(s); {
		c := s[end]
		if lower[c] == n.text[last] {
			i := last - 1
			for i >= 0 && lower[s[end-last+i]] == n.text[i] {
				i--
			}
			if i < 0 {
				return true
			}
		}
		end += n.steps[c]
	}
	return false
}

// withinLine is within for a long text: one letter leaves nothing to step over.
func withinLine(n *needle, line []byte) bool {
	if len(n.text) != 1 {
		return within(n, line)
	}
	c := n.text[0]
	return bytes.IndexByte(line, c) >= 0 || c >= 'a' && c <= 'z' && bytes.IndexByte(line, c-('a'-'A')) >= 0
}

// spelled gives the longest part of a value that stands in the JSON of every
// record with that value just as it is, unless by a \u or \/ escape.
func spelled(value string) string {
	if !utf8.ValidString(value) {
		return "" // a part of a character: nothing is certain
	}
	longest := ""
	for _, part := range strings.FieldsFunc(value, func(c rune) bool {
		return c < 0x20 || c == '"' || c == '\\' || c == utf8.RuneError
	}) {
		if len(part) > len(longest) {
			longest = part
		}
	}
	return longest
}

// escaped reports whether a line may spell any character at all by an escape.
func escaped(line []byte) bool {
	return bytes.Contains(line, []byte(`\u`)) || bytes.Contains(line, []byte(`\/`))
}
