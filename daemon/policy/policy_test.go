package policy

import (
	"strings"
	"testing"

	"qvmremote/queue"
)

func parse(t *testing.T, text string) *Policy {
	t.Helper()
	p, err := Parse("work.policy", []byte(text+"\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFirstMatchWinsAndTheWorstCommandDecides(t *testing.T) {
	t.Parallel()
	p := parse(t, `# rules
deny  qvm-prefs work netvm **
allow qvm-prefs work memory 256..8192   # a span
allow qvm-start {work,anon}
ask   qvm-*     **
allow sha256:2f1a3bb0e3a5b3c0a1b2c3d4e5f60718293a4b5c6d7e8f901122334455667788
`)
	for _, c := range []struct {
		script string
		want   Decision
	}{
		{"qvm-start work", Decision{Verdict: Allow, Rule: "work.policy:4: allow qvm-start {work,anon}"}},
		{"qvm-start 'anon' && qvm-prefs work memory 300", Decision{Verdict: Allow, Rule: "work.policy:4: allow qvm-start {work,anon}"}},
		{"qvm-prefs work memory 0300", Decision{Verdict: Ask, Rule: "work.policy:5: ask   qvm-*     **"}},
		{"qvm-start work; qvm-ls", Decision{Verdict: Ask, Rule: "work.policy:5: ask   qvm-*     **"}},
		{"qvm-ls\nqvm-prefs work netvm ''", Decision{Verdict: Deny, Reason: queue.PolicyDenied, Rule: "work.policy:2: deny  qvm-prefs work netvm **"}},
		{"qvm-start work; reboot", Decision{Verdict: Deny, Reason: queue.NoRule}},
		{"qvm-start $X", Decision{Verdict: Deny, Reason: queue.NoRule}},
	} {
		if got := p.Decide([]byte(c.script)); got != c.want {
			t.Errorf("%q: %+v, want %+v", c.script, got, c.want)
		}
	}
	var none *Policy
	if got := none.Decide([]byte("true")); got != (Decision{Verdict: Deny, Reason: queue.NoPolicy}) {
		t.Errorf("without a policy: %+v", got)
	}
}

// TestARuleIsNamedInALine: whatever its length and blanks.
func TestARuleIsNamedInALine(t *testing.T) {
	t.Parallel()
	p := parse(t, "\tallow\techo "+strings.Repeat("a", 1000)+" # it's")
	d := p.Decide([]byte("echo " + strings.Repeat("a", 1000)))
	if d.Verdict != Allow || !strings.HasPrefix(d.Rule, "work.policy:1: allow echo aaa") || len(d.Rule) > 300 || !strings.HasSuffix(d.Rule, "…") {
		t.Errorf("%+v", d)
	}
}
