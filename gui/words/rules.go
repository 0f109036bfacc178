package words

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
)

// Lasting is what was approved beyond one request: of what, and until when.
func Lasting(a dbus.Approval, now time.Time) (title, subtitle string) {
	title = "Whatever it asks"
	if a.Sha256 != "" {
		title = "The bytes with SHA-256 " + queue.Escape(a.Sha256, 12)
	}
	until := "until dom0 reboots"
	if a.Left > 0 {
		until = "until " + say.WhenAt(now.Add(a.Left), now)
	}
	parts := []string{until}
	if a.Count > 0 {
		parts = append(parts, "for "+say.Count(a.Count, "more request"))
	}
	parts = append(parts, fmt.Sprintf("approved by %s with number %d", queue.Escape(a.Who, 40), a.Number))
	text := strings.Join(parts, " · ")
	return title, strings.ToUpper(text[:1]) + text[1:]
}

// Verdict is what would become of a request.
func Verdict(e dbus.Explanation) say.Look {
	switch e.Verdict {
	case "allow":
		return say.As("qr-done-symbolic", "It would run, and nobody is asked", say.Warn)
	case "ask":
		return say.As("qr-requests-symbolic", "You would be asked", say.Accent)
	}
	return say.As("qr-denied-symbolic", "It would be denied", say.Quiet)
}

// VerdictBy is the rule that decided, or that there is none.
func VerdictBy(e dbus.Explanation) string {
	switch {
	case e.Rule != "":
		return "By " + e.Rule
	case e.Reason == "no-policy":
		return "There are no rules"
	}
	return "No rule matches it"
}

// Explained says of each part of a request which rules were held against it,
// and why each matched or not: lines of text.
func Explained(e dbus.Explanation) []string {
	var lines []string
	if e.Obstacle != "" {
		lines = append(lines, "This is a script, which no rule about a command matches: "+e.Obstacle, "")
	}
	for _, p := range e.Parts {
		var words []string
		for _, w := range p.Words {
			words = append(words, quotedWord(w))
		}
		what := strings.Join(words, " ")
		if what == "" {
			what = "The script"
		}
		lines = append(lines, what+": "+p.Verdict)
		for _, s := range p.Steps {
			matched := "no "
			if s.Matched {
				matched = "yes"
			}
			lines = append(lines, "  "+matched+"  "+s.Rule+" — "+s.Why)
		}
	}
	if e.More > 0 {
		lines = append(lines, "and "+say.Count(e.More, "more command"))
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
		parts = append(parts, "Each request is denied, for the rules have an error: "+p.Error)
	}
	if p.Text == "" {
		parts = append(parts, "There are no rules, so each request is denied.")
	}
	for _, w := range p.Warnings {
		parts = append(parts, "Mind: "+w)
	}
	for _, w := range more {
		if !slices.Contains(p.Warnings, w) {
			parts = append(parts, "Mind: "+w)
		}
	}
	if len(p.Limits) > 0 {
		parts = append(parts, "In force are:")
		parts = append(parts, p.Limits...)
	}
	return strings.Join(parts, "\n")
}
