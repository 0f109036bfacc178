package words

import (
	"fmt"
	"strings"

	"qvmremote/dbus"
	"qvmremote/queue"
)

// events are those of the audit log (docs/audit.md) with what a row says of
// them: the word in its pill and, where the record has no command, the line.
var events = map[string]struct {
	look Look
	line string
}{
	"claim":              {Look{"qr-waiting-symbolic", "taken", Quiet}, "taken for good"},
	"run":                {Look{"qr-running-symbolic", "running", Accent}, "command begins"},
	"delivered":          {Look{"qr-done-symbolic", "delivered", Quiet}, "the qube has the result"},
	"refused":            {Look{"qr-refused-symbolic", "refused", Bad}, "request refused"},
	"refused-count":      {Look{"qr-refused-symbolic", "refused", Bad}, "more requests refused"},
	"replayed":           {Look{"qr-refused-symbolic", "replayed", Bad}, "a copy of a request was removed"},
	"dropped":            {Look{"qr-refused-symbolic", "dropped", Bad}, "a cancel that failed a check was removed"},
	"authorized":         {Look{"qr-key-symbolic", "authorised", Accent}, "key stored"},
	"revoked":            {Look{"qr-key-symbolic", "revoked", Warn}, "key removed"},
	"rotating":           {Look{"qr-key-symbolic", "rotating", Accent}, "a second key waits for its first use"},
	"rotated":            {Look{"qr-key-symbolic", "rotated", Accent}, "the second key was used; the old one is dead"},
	"floor":              {Look{"qr-key-symbolic", "floor", Quiet}, "older requests are not accepted any more"},
	"connected":          {Look{"qr-qubes-symbolic", "connected", Accent}, "dom0 looks at this qube"},
	"disconnected":       {Look{"qr-qubes-symbolic", "disconnected", Warn}, "dom0 does not look at this qube any more"},
	"cleaned":            {Look{"qr-setting-symbolic", "cleaned", Quiet}, "the qube's queue was cleaned"},
	"approved":           {Look{"qr-setting-symbolic", "approved", Quiet}, "somebody in dom0 approved a request"},
	"suspended":          {Look{"qr-denied-symbolic", "suspended", Bad}, "nothing of the qube is taken any more"},
	"readmitted":         {Look{"qr-setting-symbolic", "readmitted", Quiet}, "requests of the qube are taken again"},
	"recovered":          {Look{"qr-setting-symbolic", "recovered", Quiet}, "a stuck request was answered"},
	"setting":            {Look{"qr-setting-symbolic", "setting", Accent}, "remote.conf was changed"},
	"started":            {Look{"qr-service-symbolic", "started", Good}, "the service started"},
	"stopped":            {Look{"qr-stopped-symbolic", "stopped", Quiet}, "the service stopped"},
	"enabled":            {Look{"qr-service-symbolic", "at boot", Warn}, "the service starts at boot"},
	"disabled":           {Look{"qr-service-symbolic", "not at boot", Quiet}, "the service does not start at boot any more"},
	"paused":             {Look{"qr-paused-symbolic", "paused", Warn}, "nothing new is taken"},
	"resumed":            {Look{"qr-running-symbolic", "resumed", Good}, "requests are taken again"},
	"stopped-everything": {Look{"qr-denied-symbolic", "stopped", Bad}, "everything was stopped"},
	"carry":              {Look{"qr-log-symbolic", "log", Quiet}, "a new segment of the log begins"},
	"torn":               {Look{"qr-log-symbolic", "log", Warn}, "half a record was cut off the log"},
	"loss":               {Look{"qr-failed-symbolic", "loss", Bad}, "records are missing from the log"},
	"pruned":             {Look{"qr-log-symbolic", "log", Quiet}, "old records were removed"},
	dbus.UnreadableEvent: {Look{"qr-failed-symbolic", "damaged", Bad}, "a record that cannot be read"},
}

// Row reports whether an event is a row of a timeline by itself; the others are
// steps of a request, or of the log.
func Row(event string) bool {
	switch event {
	case "claim", "run", "delivered", "carry", "floor":
		return false
	}
	return true
}

// Event is how a record is shown.
func Event(r dbus.Record) Look {
	if r.Event == "final" {
		return final(r.State, r.Exit)
	}
	if e, ok := events[r.Event]; ok {
		return e.look
	}
	return Look{"qr-info-symbolic", queue.Escape(r.Event, 24), Quiet}
}

// NoticeLook is Event for what a signal says, which has no exit code.
func NoticeLook(event, state string) Look {
	return Event(dbus.Record{Event: event, State: state})
}

func final(state string, exit *int) Look {
	switch {
	case state == "exit" && exit == nil:
		return Look{"qr-done-symbolic", "ended", Quiet}
	case state == "exit" && *exit == 0:
		return Look{"qr-done-symbolic", "exit 0", Good}
	case state == "exit":
		return Look{"qr-failed-symbolic", fmt.Sprintf("exit %d", *exit), Warn}
	case state == "timeout":
		return Look{"qr-timeout-symbolic", "timed out", Warn}
	case state == "cancelled":
		return Look{"qr-cancelled-symbolic", "cancelled", Quiet}
	case state == "interrupted":
		return Look{"qr-interrupted-symbolic", "interrupted", Warn}
	case state == "denied":
		return Look{"qr-denied-symbolic", "denied", Bad}
	}
	return Look{"qr-info-symbolic", queue.Escape(state, 24), Quiet}
}

// Summary is a record in one line, and whether that line is a command.
func Summary(r dbus.Record) (line string, command bool) {
	if r.Command != "" {
		return FirstLine(r.Command), true
	}
	e, known := events[r.Event]
	line = e.line
	switch {
	case r.Event == "refused-count" && r.Count > 0:
		return plural(r.Count, "more request") + " refused", false
	case r.Reason != "":
		return Reason(r.Reason), false
	case r.Detail != "" && strings.HasPrefix(r.Detail, "replaces "), r.Event == "revoked" && r.Detail != "":
		return line + ": " + queue.Plain(r.Detail, maxLine), false
	case r.Detail != "":
		return queue.Plain(r.Detail, maxLine), false
	case r.Event == "final":
		return ended(r.State), false
	case known && r.Count > 0:
		return fmt.Sprintf("%s (%d)", line, r.Count), false
	}
	return line, false
}

// ended says how a request ended of which nothing else is known.
func ended(state string) string {
	switch state {
	case "exit":
		return "a command ended"
	case "timeout":
		return "a command was ended at its time limit"
	case "cancelled":
		return "it was cancelled"
	case "interrupted":
		return "the service ended before the command did"
	case "denied":
		return "request denied"
	}
	return queue.Escape(state, 24)
}

// FirstLine is the first line of a script that says something, and "…" where
// there are more.
func FirstLine(script string) string {
	first, rest := cutLine(script)
	if strings.HasPrefix(first, "#!") && rest != "" {
		first, rest = cutLine(rest)
	}
	text := queue.Escape(first, maxLine)
	if rest != "" && !strings.HasSuffix(text, "…") {
		text += " …"
	}
	return text
}

// cutLine parts the first line that is not empty from the others.
func cutLine(script string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimSpace(script), "\n")
	return strings.TrimSpace(first), strings.TrimSpace(rest)
}

// Reason is why a request was refused or denied, from the qube's point of view
// as package queue has it, without its advice to the qube.
func Reason(code string) string {
	sentence, _, _ := strings.Cut(whole(code), ". ")
	return queue.Plain(sentence, maxLine)
}

// whole is a reason with its advice; one of a later version is named.
func whole(code string) string {
	sentence := queue.Reason(code).Sentence()
	if sentence == queue.Reason("").Sentence() {
		return sentence + ": " + queue.Escape(code, 60)
	}
	return sentence
}
