package tools

import (
	"os/exec"
	"strings"
	"testing"
)

// What quote returns is one word to a shell, whatever is in it.
func FuzzQuote(f *testing.F) {
	for _, s := range []string{"", "a", "a b", "it's", "$HOME", "`id`", "a\nb", "é", "\x01", `\`, "-n", "*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "\x00") {
			return
		}
		out, err := exec.Command("/bin/sh", "-c", "printf %s "+quote(s)).Output()
		if string(out) != s || err != nil {
			t.Errorf("%q quoted as %s is %q to a shell, %v", s, quote(s), out, err)
		}
	})
}

func TestQuoteLeavesPlainWordsAlone(t *testing.T) {
	for in, want := range map[string]string{"a": "a", "/usr/bin/x": "/usr/bin/x", "a@b%c+d=e:f,g.h-i_j": "a@b%c+d=e:f,g.h-i_j", "": "''", "a b": "'a b'", "é": "'é'"} {
		if got := quote(in); got != want {
			t.Errorf("quote(%q) = %s, want %s", in, got, want)
		}
	}
}
