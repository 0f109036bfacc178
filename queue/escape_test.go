package queue

import (
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestEscapeShowsOneHarmlessLine(t *testing.T) {
	for in, want := range map[string]string{
		"":                         "",
		"ls -l /tmp":               "ls -l /tmp",
		"grüße, 日本 ✓":              "grüße, 日本 ✓",
		"a\nb\r\tc\x00":            `a\x0ab\x0d\x09c\x00`,
		"\x1b[2J\x7f":              `\x1b[2J\x7f`,
		"\u0085\u009b1m":           `\u{85}\u{9b}1m`,
		"\x9b1m\xff":               `\x9b1m\xff`,
		"a\u202eb\u2066c\u200f":    `a\u{202e}b\u{2066}c\u{200f}`,
		"x\u200by\ufeffz\u00ad":    `x\u{200b}y\u{feff}z\u{ad}`,
		"p\u2028q\u2029":           `p\u{2028}q\u{2029}`,
		"no\u00a0break":            `no\u{a0}break`,
		"\u3164\u115f\u2800\ufe0f": `\u{3164}\u{115f}\u{2800}\u{fe0f}`,
		"\U000e0041\U0010ffff":     `\u{e0041}\u{10ffff}`,
		"\ufffd":                   "\ufffd",
		`grep '\.go$'`:             `grep '\.go$'`,
		`\x41 \u{41} \\`:           `\\x41 \\u{41} \\\`,
		"\\\n":                     `\\\x0a`,
		`say "hi"`:                 `say "hi"`,
	} {
		if got := Escape(in, 0); got != want {
			t.Errorf("Escape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestEscapeCutsBetweenCharacters(t *testing.T) {
	for _, c := range []struct {
		in   string
		max  int
		want string
	}{
		{"abcd", 4, "abcd"},
		{"abcde", 4, "abc…"},
		{"äöüß", 3, "äö…"},
		{"ab\ncd", 6, `ab…`},
		{"\n\n", 3, "…"},
		{"\n\n", 8, `\x0a\x0a`},
		{"abc", 1, "…"},
	} {
		if got := Escape(c.in, c.max); got != c.want {
			t.Errorf("Escape(%q, %d) = %q, want %q", c.in, c.max, got, c.want)
		}
	}
}

func TestPlainEscapesNothingTwice(t *testing.T) {
	for in, want := range map[string]string{
		"the daemon runs":       "the daemon runs",
		`ended: "\x1b[2J"`:      `ended: "\x1b[2J"`,
		`C:\\x`:                 `C:\\x`,
		"\x1b[2J":               `\x1b[2J`,
		`\x41` + "\n":           `\\x41\x0a`,
		"a\u202eb":              `a\u{202e}b`,
		strings.Repeat("ä", 81): strings.Repeat("ä", 79) + "…",
	} {
		if got := Plain(in, 80); got != want {
			t.Errorf("Plain(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestQuoteCannotBeLeft(t *testing.T) {
	for in, want := range map[string]string{
		`echo "a" exit=0`: `"echo \"a\" exit=0"`,
		`ends in \`:       `"ends in \\"`,
		`\"`:              `"\\\""`,
		"a\nb":            `"a\x0ab"`,
	} {
		if got := Quote(in, 200); got != want {
			t.Errorf("Quote(%q) = %s, want %s", in, got, want)
		}
	}
}

// unquote reads back what Quote wrote, and reports where its text ended.
func unquote(t *testing.T, s string) (string, string) {
	t.Helper()
	var b strings.Builder
	for s = s[1:]; ; {
		switch {
		case s == "":
			t.Fatal("the quote does not end")
		case s[0] == '"':
			return b.String(), s[1:]
		case strings.HasPrefix(s, `\x`):
			n, err := strconv.ParseUint(s[2:4], 16, 8)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteByte(byte(n))
			s = s[4:]
		case strings.HasPrefix(s, `\u{`):
			hex, rest, _ := strings.Cut(s[3:], "}")
			n, err := strconv.ParseUint(hex, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			b.WriteRune(rune(n))
			s = rest
		case strings.HasPrefix(s, `\\`), strings.HasPrefix(s, `\"`):
			b.WriteByte(s[1])
			s = s[2:]
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
	}
}

// TestWhatStandsForItself: that most output is let through as it is changes none.
func TestWhatStandsForItself(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for _, s := range []string{string([]byte{byte(c)}), "a" + string([]byte{byte(c)}), string([]byte{byte(c)}) + "x0a"} {
			for name, escape := range map[string]func(string, int) string{"Escape": Escape, "EscapeASCII": EscapeASCII, "Quote": Quote} {
				if short, long := escape(s, 0), escape(s, 1000); short != long {
					t.Errorf("%s of %q is %s, cut after 1000 characters it is %s", name, s, short, long)
				}
			}
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("ls -l", 5)
	f.Add("\\\\x41\"\u202e\xff\n", 0)
	f.Fuzz(func(t *testing.T, in string, max int) {
		got := Escape(in, max)
		for _, r := range got {
			if !visible(r) || unicode.IsControl(r) {
				t.Fatalf("Escape(%q) holds %q", in, r)
			}
		}
		if n := utf8.RuneCountInString(got); max > 0 && n > max {
			t.Fatalf("%d characters, allowed %d", n, max)
		}
		if back, rest := unquote(t, Quote(in, 0)); back != in || rest != "" {
			t.Fatalf("Quote(%q) = %s reads back as %q, rest %q", in, Quote(in, 0), back, rest)
		}
	})
}
