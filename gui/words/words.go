// Package words is what the desktop programs say: states, records, outcomes,
// errors and times, in plain words, with the icon and tone that go with each.
//
// It guarantees that text which came from a qube is escaped and bounded in
// whatever it returns, and that a state, event or reason of a later version is
// shown by its name in place of nothing.
package words

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// maxLine bounds a line of foreign text, in characters.
const maxLine = 300

// State is the executor's.
func State(m dbus.Manager) say.Look {
	switch m.State {
	case dbus.Running:
		return say.As("qr-done-symbolic", i18n.T("Running"), say.Good)
	case dbus.Paused:
		return say.As("qr-paused-symbolic", i18n.T("Paused"), say.Warn)
	case dbus.Stopping:
		return say.As("qr-waiting-symbolic", i18n.T("Stopping"), say.Warn)
	case dbus.Stopped:
		return say.As("qr-stopped-symbolic", i18n.T("Stopped"), say.Quiet)
	}
	return say.As("qr-info-symbolic", queue.Escape(m.State, 40), say.Quiet)
}

// StateLine says what the state means, and since when it is so.
func StateLine(m dbus.Manager) string {
	switch m.State {
	case dbus.Running, dbus.Paused:
		line := i18n.T("Since %s · version %s · process %d", say.When(m.Since), queue.Escape(m.Version, 40), m.Pid)
		if m.State == dbus.Paused {
			line = i18n.T("Takes nothing new; what runs goes on.") + " " + line
		}
		return line
	case dbus.Stopping:
		return i18n.T("Running commands get a while to end by themselves.")
	case dbus.Stopped:
		return i18n.T("No command of any qube runs in dom0 · version %s", queue.Escape(m.Version, 40))
	}
	return i18n.T("Version %s", queue.Escape(m.Version, 40))
}

// Boot says how it will be after the next boot.
func Boot(m dbus.Manager) string {
	switch {
	case m.StartsAtBoot:
		return i18n.T("On: the service starts whenever this computer does")
	case m.State == dbus.Stopped:
		return i18n.T("Off: the service starts only when you start it")
	}
	return i18n.T("Off: the service ends when this computer restarts")
}

// Severity is the tone of a problem.
func Severity(severity string) string {
	switch severity {
	case "error":
		return string(say.Bad)
	case "warning":
		return string(say.Warn)
	}
	return string(say.Quiet)
}

// Trouble is the title of a problem.
func Trouble(p dbus.Problem) string { return queue.Plain(i18n.Known(p.Title), maxLine) }

var severities = []string{"error", "warning", "info"}

// Problems are those of health, the worst first.
func Problems(health []dbus.Problem) []dbus.Problem {
	sorted := slices.Clone(health)
	slices.SortStableFunc(sorted, func(a, b dbus.Problem) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
	return sorted
}

// Worst is the worst problem, nil where there is none.
func Worst(health []dbus.Problem) *dbus.Problem {
	if sorted := Problems(health); len(sorted) > 0 {
		return &sorted[0]
	}
	return nil
}

// CommandLine is what a command that the executor works on does.
func CommandLine(c dbus.Command) string {
	line := queue.Escape(c.State, 40)
	switch c.State {
	case "running":
		line = i18n.T("Runs")
	case "waiting":
		line = i18n.T("Waits for its turn")
	case "approval":
		line = i18n.T("Waits for approval")
	case "delivering":
		line = i18n.T("Has ended; its result is delivered")
	}
	switch {
	case !c.Started.IsZero():
		return i18n.T("%s · began %s", line, say.When(c.Started))
	case !c.Taken.IsZero():
		return i18n.T("%s · taken %s", line, say.When(c.Taken))
	}
	return line
}

// Outcome is one way in which a request may have ended, as CountCommands
// names them.
type Outcome struct {
	Name, Word string
	Tone       say.Tone
}

// Outcomes are all of them, in the order in which they are drawn.
var Outcomes = []Outcome{
	{"done", i18n.C("so many", "done"), say.Accent}, {"failed", i18n.C("so many", "failed"), say.Warn}, {"timeout", i18n.C("so many", "timed out"), say.Warn},
	{"cancelled", i18n.C("so many", "cancelled"), say.Quiet}, {"interrupted", i18n.C("so many", "interrupted"), say.Warn},
	{"denied", i18n.C("so many", "denied"), say.Bad}, {"refused", i18n.C("so many", "refused"), say.Bad},
}

// Counts says how many ended how.
func Counts(ended map[string]uint32) string {
	var parts []string
	for _, o := range Outcomes {
		if n := ended[o.Name]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, o.Word))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ended)) {
		known := slices.ContainsFunc(Outcomes, func(o Outcome) bool { return o.Name == name })
		if n := ended[name]; n > 0 && !known {
			parts = append(parts, fmt.Sprintf("%d %s", n, queue.Escape(name, 24)))
		}
	}
	if len(parts) == 0 {
		return i18n.T("no commands")
	}
	return strings.Join(parts, " · ")
}

// Percent is a part from 0 to 1.
func Percent(part float64) string { return fmt.Sprintf("%d %%", int(100*min(max(part, 0), 1))) }

// Verified is what checking the record found.
func Verified(v dbus.Verification, err error) (say.Look, string) {
	if err != nil {
		return say.As("qr-failed-symbolic", i18n.T("not checked"), say.Warn), Error(err)
	}
	var lines []string
	for _, s := range v.Sentences {
		lines = append(lines, say.Sentence(queue.Plain(s, 1000)))
	}
	if !v.Verified {
		return say.As("qr-failed-symbolic", i18n.T("does not verify"), say.Bad), strings.Join(lines, "\n")
	}
	return say.As("qr-done-symbolic", i18n.T("verified"), say.Good), strings.Join(lines, "\n")
}
