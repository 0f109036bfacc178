package queue

import "testing"

func TestAScriptIsShownInASCIIAlone(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"echo a": "echo a", "rm \u05d0": `rm \u{5d0}`, "\u0430": `\u{430}`, "a\u0301": `a\u{301}`, "\\\u0430": `\\\u{430}`, `\u{430}`: `\\u{430}`} {
		if got := EscapeASCII(text, 0); got != want {
			t.Errorf("%q is shown as %s, not %s", text, got, want)
		}
	}
}
