package client

import (
	"os/exec"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestQuoteIsReadBackByBash holds Quote against the shell that reads it.
func TestQuoteIsReadBackByBash(t *testing.T) {
	t.Parallel()
	word := rapid.OneOf(rapid.SampledFrom([]string{"", "if", "a b", "$HOME", "`id`", "'", `"`, `\`, "*", "~", "x=1", "{a,b}", "!", "#", "-n", "\t", "ü"}),
		rapid.StringMatching(`[ -~\n]{0,12}`))
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(word, 1, 5).Draw(t, "args")
		out, err := exec.Command("bash", "-c", "printf '%s\\0' "+Quote(args)).Output()
		if err != nil || string(out) != strings.Join(args, "\x00")+"\x00" {
			t.Fatalf("%q: %q, %v", args, out, err)
		}
	})
}

func TestQuoteNamesACommand(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("bash", "-c", Quote([]string{"time", "x"})).CombinedOutput()
	if err == nil && strings.Contains(string(out), "real") {
		t.Fatalf("bash took a command's name for its own word: %s", out)
	}
}

func FuzzMetaDuration(f *testing.F) {
	f.Add([]byte("id=a\nduration_ms=12\nexit_code=0\n"))
	f.Add([]byte("duration_ms=-5\nduration_ms=99999999999999999999"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d := metaDuration(b); d < 0 {
			t.Fatalf("%q: %v", b, d)
		}
	})
}

func FuzzSplitDenied(f *testing.F) {
	f.Add([]byte("no-key\ndom0 holds no key\n"))
	f.Add([]byte("\x1b[2J"))
	f.Fuzz(func(t *testing.T, b []byte) {
		reason, sentence := splitDenied(b)
		if len(reason)+len(sentence) > len(b) || strings.Contains(string(reason), "\n") {
			t.Fatalf("%q: %q, %q", b, reason, sentence)
		}
	})
}
