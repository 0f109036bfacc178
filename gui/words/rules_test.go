package words

import (
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/dbus"
)

// TestWhatWasApprovedForLongerIsSaidWhole: of what, until when, by whom.
func TestWhatWasApprovedForLongerIsSaidWhole(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 2, 10, 0, 0, 0, time.Local)
	title, about := Lasting(dbus.Approval{Who: "user\x1b[1m", Number: 7}, now)
	if title != "Whatever it asks" || !strings.HasPrefix(about, "Until dom0 reboots · approved by user") || !strings.HasSuffix(about, "with number 7") {
		t.Errorf("%q, %q", title, about)
	}
	if strings.Contains(about, "\x1b") {
		t.Errorf("a name reaches the page as it is: %q", about)
	}
	title, about = Lasting(dbus.Approval{Sha256: "0123456789abcdef", Left: 10 * time.Minute, Count: 2, Who: "user", Number: 7}, now)
	if !strings.Contains(title, "0123456789") || !strings.Contains(about, "10:10") || !strings.Contains(about, "2 more requests") {
		t.Errorf("%q, %q", title, about)
	}
}

// TestOnlyAllowIsSaidToRun: a verdict this program does not know must not look
// like one that lets something run.
func TestOnlyAllowIsSaidToRun(t *testing.T) {
	t.Parallel()
	for verdict, want := range map[string]string{
		"allow": "It would run, and nobody is asked", "ask": "You would be asked", "deny": "It would be denied", "other": "It would be denied", "": "It would be denied",
	} {
		if got := Verdict(dbus.Explanation{Verdict: verdict}).Word; got != want {
			t.Errorf("%q: %q, want %q", verdict, got, want)
		}
	}
	for want, e := range map[string]dbus.Explanation{
		"By work.policy:1: deny **": {Rule: "work.policy:1: deny **"},
		"There are no rules":        {Reason: "no-policy"},
		"No rule matches it":        {Reason: "no-rule"},
	} {
		if got := VerdictBy(e); got != want {
			t.Errorf("%+v: %q, want %q", e, got, want)
		}
	}
}

func TestEachRuleSaysWhyItMatchedOrNot(t *testing.T) {
	t.Parallel()
	got := Explained(dbus.Explanation{More: 3, Parts: []dbus.ExplainedPart{
		{Words: []string{"qvm-start", "", "a b"}, Verdict: "ask", Steps: []dbus.ExplainedStep{{Rule: "work.policy:1: allow qvm-ls", Why: "word 1 differs"}, {Matched: true, Rule: "work.policy:2: ask **", Why: "anything"}}},
	}})
	want := []string{"qvm-start '' 'a b': ask", "  no   work.policy:1: allow qvm-ls — word 1 differs", "  yes  work.policy:2: ask ** — anything", "and 3 more commands"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	script := Explained(dbus.Explanation{Obstacle: "a pipe", Parts: []dbus.ExplainedPart{{Verdict: "deny"}}})
	if len(script) != 3 || !strings.Contains(script[0], "a pipe") || script[2] != "The script: deny" {
		t.Errorf("%q", script)
	}
}

// TestRulesThatDenyEverythingSaySo: for an error, and for want of any.
func TestRulesThatDenyEverythingSaySo(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]dbus.Policy{
		"Each request is denied, for the rules have an error: line 1": {Text: "x", Error: "line 1"},
		"There are no rules, so each request is denied.":              {},
	} {
		if got := Policy(p, nil); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
	if got := Policy(dbus.Policy{Text: "x", Warnings: []string{"a"}, Limits: []string{"limit running 1"}}, []string{"a", "b"}); got != "Mind: a\nMind: b\nIn force are:\nlimit running 1" {
		t.Errorf("%q", got)
	}
}
