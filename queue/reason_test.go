package queue

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

var reasons = []Reason{
	NoKey, Malformed, BadMAC, Replayed, Stale, Future, Expired, WrongQube, OtherQube, WrongID, Unsupported, Limit, Rate, Mismatch,
	Empty, Binary, NotReady, Unreadable, NoPolicy, BadPolicy, NoRule, PolicyDenied, NotApproved, NoApprover, GrantEnded, Suspended, NoToken, BurnLost,
}

// Every reason can stand in a signed result, and has a sentence of its own.
func TestReasons(t *testing.T) {
	t.Parallel()
	k := testKey(t).ResultKey()
	seen := map[string]Reason{}
	for _, r := range reasons {
		s := r.Sentence()
		if other, ok := seen[s]; ok || s == Reason("?").Sentence() {
			t.Errorf("%s and %s say the same: %s", r, other, s)
		}
		seen[s] = r
		x := goldenResult()
		x.State, x.Exit, x.Reason = StateDenied, NoExit, r
		if got, err := OpenResult(x.Sign(k), k); err != nil || got.Reason != r {
			t.Errorf("a result denied(%s) reads as %q, %v", r, got.Reason, err)
		}
	}
	if len(sentences) != len(reasons) {
		t.Errorf("%d sentences for %d reasons", len(sentences), len(reasons))
	}
	if s := Reason("later").Sentence(); s == "" {
		t.Error("an unknown reason says nothing")
	}
}

func TestDenialText(t *testing.T) {
	t.Parallel()
	d := &Denial{Reason: Limit, Detail: "timeout 90000, allowed 86400"}
	const want = "the request is over a limit of this dom0 (timeout 90000, allowed 86400)"
	if d.Sentence() != want || d.Error() != "denied(limit): "+want {
		t.Errorf("%q, %q", d.Sentence(), d.Error())
	}
	if got := string(d.File()); got != "limit\n"+want+"\n" {
		t.Errorf("the file is %q", got)
	}
	var err error = d
	var back *Denial
	if !errors.As(err, &back) || back.Reason != Limit {
		t.Error("a Denial is not found as an error")
	}
	d.Detail = ""
	if got, want := string(d.File()), "limit\nthe request is over a limit of this dom0\n"; got != want {
		t.Errorf("the file without detail is %q", got)
	}
}

func checkDeniedFile(t *testing.T, reason Reason, detail string) {
	t.Helper()
	b := (&Denial{Reason: reason, Detail: detail}).File()
	lines := strings.Split(string(b), "\n")
	if len(b) > MaxDenied || len(lines) != 3 || lines[0] != string(reason) || lines[1] == "" || lines[2] != "" {
		t.Errorf("the denial %s with %q has the file %q", reason, detail, b)
	}
	if !utf8.Valid(b) || strings.ContainsFunc(lines[1], unicode.IsControl) {
		t.Errorf("the denial %s with %q is not plain text: %q", reason, detail, b)
	}
}

func TestDeniedFileKeepsItsForm(t *testing.T) {
	t.Parallel()
	for _, r := range reasons {
		for n := range 4 { // so that a cut falls on each byte of a character
			checkDeniedFile(t, r, strings.Repeat("x", n)+strings.Repeat("é✓", 2000))
		}
		checkDeniedFile(t, r, "two\nlines\r\x00\x1b[2J\u009b")
		checkDeniedFile(t, r, "\xff\xfe")
	}
}

func FuzzDenialFile(f *testing.F) {
	f.Add(uint8(0), "")
	f.Add(uint8(7), "the request says vault, dom0 opened work")
	f.Add(uint8(3), "a\nb")
	f.Fuzz(func(t *testing.T, which uint8, detail string) {
		checkDeniedFile(t, reasons[int(which)%len(reasons)], detail)
	})
}

// What another account's text in a log may do: be one line, nothing else.
func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "a b": "a b", "a\nb\r\x00\x1b[0m\x7f\u0085\u009b": "a b   [0m   ", "é✓": "é✓", "\xff": "\uFFFD",
	} {
		if got := oneLine(in); got != want || bytes.ContainsAny([]byte(got), "\n\x1b") {
			t.Errorf("oneLine(%q) = %q, want %q", in, got, want)
		}
	}
}
