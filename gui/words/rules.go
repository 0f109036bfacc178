package words

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// Lasting is what was approved beyond one request: of what, and until when.
func Lasting(a dbus.Approval, now time.Time) (title, subtitle string) {
	title = i18n.T("Whatever it asks")
	if a.Sha256 != "" {
		title = i18n.T("The bytes with SHA-256 %s", queue.Escape(a.Sha256, 12))
	}
	until := i18n.T("until dom0 reboots")
	if a.Left > 0 {
		until = i18n.T("until %s", say.WhenAt(now.Add(a.Left), now))
	}
	parts := []string{until}
	if a.Count > 0 {
		parts = append(parts, i18n.N(int(a.Count), "for %d more request", "for %d more requests", a.Count))
	}
	parts = append(parts, i18n.T("approved by %s with number %d", queue.Escape(a.Who, 40), a.Number))
	text := strings.Join(parts, " · ")
	return title, say.Capital(text)
}

// Verdict is what would become of a request.
func Verdict(e dbus.Explanation) say.Look {
	switch e.Verdict {
	case "allow":
		return say.As("qr-done-symbolic", i18n.T("It would run, and nobody is asked"), say.Warn)
	case "ask":
		return say.As("qr-requests-symbolic", i18n.T("You would be asked"), say.Accent)
	}
	return say.As("qr-denied-symbolic", i18n.T("It would be denied"), say.Quiet)
}

// VerdictBy is the rule that decided, or that there is none.
func VerdictBy(e dbus.Explanation) string {
	switch {
	case e.Rule != "":
		return i18n.T("By %s", e.Rule)
	case e.Reason == "no-policy":
		return i18n.T("There are no rules")
	}
	return i18n.T("No rule matches it")
}

// Explained says of each part of a request which rules were held against it,
// and why each matched or not: lines of text.
func Explained(e dbus.Explanation) []string {
	var lines []string
	if e.Obstacle != "" {
		lines = append(lines, i18n.T("This is a script, which no rule about a command matches: %s", e.Obstacle), "")
	}
	for _, p := range e.Parts {
		var words []string
		for _, w := range p.Words {
			words = append(words, quotedWord(w))
		}
		what := strings.Join(words, " ")
		if what == "" {
			what = i18n.T("The script")
		}
		lines = append(lines, what+": "+p.Verdict)
		for _, s := range p.Steps {
			matched := i18n.C("a rule matched", "no")
			if s.Matched {
				matched = i18n.C("a rule matched", "yes")
			}
			lines = append(lines, fmt.Sprintf("  %-4s %s — %s", matched, s.Rule, s.Why))
		}
	}
	if e.More > 0 {
		lines = append(lines, i18n.N(int(e.More), "and %d more command", "and %d more commands", e.More))
	}
	return lines
}

// quotedWord is a word as one would see where it ends.
func quotedWord(w string) string {
	if w == "" || strings.ContainsAny(w, " \"'") {
		return "'" + w + "'"
	}
	return w
}

// Policy says what there is to know of rules beside their text; more are warnings
// from writing them, those of the rules among them.
func Policy(p dbus.Policy, more []string) string {
	var parts []string
	if p.Error != "" {
		parts = append(parts, i18n.T("Each request is denied, for the rules have an error: %s", p.Error))
	}
	if p.Text == "" {
		parts = append(parts, i18n.T("There are no rules, so each request is denied."))
	}
	for _, w := range p.Warnings {
		parts = append(parts, i18n.T("Mind: %s", w))
	}
	for _, w := range more {
		if !slices.Contains(p.Warnings, w) {
			parts = append(parts, i18n.T("Mind: %s", w))
		}
	}
	if len(p.Limits) > 0 {
		parts = append(parts, i18n.T("In force are:"))
		parts = append(parts, p.Limits...)
	}
	return strings.Join(parts, "\n")
}
