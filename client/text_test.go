package client

import (
	"os/exec"
	"strings"
	"testing"
	"time"

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

// FuzzSplitLine: a line of the log is taken apart, or stays as it is.
func FuzzSplitLine(f *testing.F) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.Local)
	for line, want := range map[string]string{
		"[" + noon.Format("2006-01-02T15:04:05-07:00") + "] SUBMIT id=1": "SUBMIT id=1",
		"[" + noon.UTC().Format(time.RFC3339) + "] DONE id=1":            "DONE id=1",
		"[2026-11-20T12:00:00] id=1 exit=0":                              "id=1 exit=0",
		"[2026-11-20T12:00:00]":                                          "", "[yesterday] x": "", "2026-11-20T12:00:00] x": "", "[] x": "", "": "",
	} {
		at, text, ok := SplitLine(line)
		if ok != (want != "") || ok && (text != want || !at.Equal(noon)) || !ok && text != line {
			f.Errorf("%q is %v, %q, %t", line, at, text, ok)
		}
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		_, text, ok := SplitLine(line)
		if !strings.HasSuffix(line, text) || ok == (text == line) {
			t.Errorf("%q is %q, %t", line, text, ok)
		}
	})
}
