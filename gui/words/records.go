package words

import (
	"fmt"
	"strings"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// events are those of the audit log (docs/audit.md) with what a row says of
// them: the word in its pill and, where the record has no command, the line.
var events = map[string]struct {
	look say.Look
	line string
}{
	"claim":              {say.As("qr-waiting-symbolic", i18n.C("outcome", "taken"), say.Quiet), i18n.T("taken for good")},
	"run":                {say.As("qr-running-symbolic", i18n.C("outcome", "running"), say.Accent), i18n.T("command begins")},
	"delivered":          {say.As("qr-done-symbolic", i18n.C("outcome", "delivered"), say.Quiet), i18n.T("the qube has the result")},
	"refused":            {say.As("qr-refused-symbolic", i18n.C("outcome", "refused"), say.Bad), i18n.T("request refused")},
	"refused-count":      {say.As("qr-refused-symbolic", i18n.C("outcome", "refused"), say.Bad), i18n.T("more requests refused")},
	"replayed":           {say.As("qr-refused-symbolic", i18n.C("outcome", "replayed"), say.Bad), i18n.T("a copy of a request was removed")},
	"dropped":            {say.As("qr-refused-symbolic", i18n.C("outcome", "dropped"), say.Bad), i18n.T("a cancel that failed a check was removed")},
	"authorized":         {say.As("qr-key-symbolic", i18n.C("outcome", "authorised"), say.Accent), i18n.T("key stored")},
	"revoked":            {say.As("qr-key-symbolic", i18n.C("outcome", "revoked"), say.Warn), i18n.T("key removed")},
	"rotating":           {say.As("qr-key-symbolic", i18n.C("outcome", "rotating"), say.Accent), i18n.T("a second key waits for its first use")},
	"rotated":            {say.As("qr-key-symbolic", i18n.C("outcome", "rotated"), say.Accent), i18n.T("the second key was used; the old one is dead")},
	"floor":              {say.As("qr-key-symbolic", i18n.C("outcome", "floor"), say.Quiet), i18n.T("older requests are not accepted any more")},
	"connected":          {say.As("qr-qubes-symbolic", i18n.C("outcome", "connected"), say.Accent), i18n.T("dom0 looks at this qube")},
	"disconnected":       {say.As("qr-qubes-symbolic", i18n.C("outcome", "disconnected"), say.Warn), i18n.T("dom0 does not look at this qube any more")},
	"cleaned":            {say.As("qr-setting-symbolic", i18n.C("outcome", "cleaned"), say.Quiet), i18n.T("the qube's queue was cleaned")},
	"approved":           {say.As("qr-setting-symbolic", i18n.C("outcome", "approved"), say.Quiet), i18n.T("somebody in dom0 approved a request")},
	"suspended":          {say.As("qr-denied-symbolic", i18n.C("outcome", "suspended"), say.Bad), i18n.T("nothing of the qube is taken any more")},
	"readmitted":         {say.As("qr-setting-symbolic", i18n.C("outcome", "readmitted"), say.Quiet), i18n.T("requests of the qube are taken again")},
	"recovered":          {say.As("qr-setting-symbolic", i18n.C("outcome", "recovered"), say.Quiet), i18n.T("a stuck request was answered")},
	"setting":            {say.As("qr-setting-symbolic", i18n.C("outcome", "setting"), say.Accent), i18n.T("remote.conf was changed")},
	"started":            {say.As("qr-service-symbolic", i18n.C("outcome", "started"), say.Good), i18n.T("the service started")},
	"stopped":            {say.As("qr-stopped-symbolic", i18n.C("outcome", "stopped"), say.Quiet), i18n.T("the service stopped")},
	"enabled":            {say.As("qr-service-symbolic", i18n.C("outcome", "at boot"), say.Warn), i18n.T("the service starts at boot")},
	"disabled":           {say.As("qr-service-symbolic", i18n.C("outcome", "not at boot"), say.Quiet), i18n.T("the service does not start at boot any more")},
	"paused":             {say.As("qr-paused-symbolic", i18n.C("outcome", "paused"), say.Warn), i18n.T("nothing new is taken")},
	"resumed":            {say.As("qr-running-symbolic", i18n.C("outcome", "resumed"), say.Good), i18n.T("requests are taken again")},
	"stopped-everything": {say.As("qr-denied-symbolic", i18n.C("outcome", "stopped"), say.Bad), i18n.T("everything was stopped")},
	"carry":              {say.As("qr-log-symbolic", i18n.C("outcome", "log"), say.Quiet), i18n.T("a new segment of the log begins")},
	"torn":               {say.As("qr-log-symbolic", i18n.C("outcome", "log"), say.Warn), i18n.T("half a record was cut off the log")},
	"loss":               {say.As("qr-failed-symbolic", i18n.C("outcome", "loss"), say.Bad), i18n.T("records are missing from the log")},
	"pruned":             {say.As("qr-log-symbolic", i18n.C("outcome", "log"), say.Quiet), i18n.T("old records were removed")},
	dbus.UnreadableEvent: {say.As("qr-failed-symbolic", i18n.C("outcome", "damaged"), say.Bad), i18n.T("a record that cannot be read")},
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
func Event(r dbus.Record) say.Look {
	if r.Event == "final" {
		return final(r.State, r.Exit)
	}
	if e, ok := events[r.Event]; ok {
		return e.look
	}
	return say.As("qr-info-symbolic", queue.Escape(r.Event, 24), say.Quiet)
}

// NoticeLook is Event for what a signal says, which has no exit code.
func NoticeLook(event, state string) say.Look {
	return Event(dbus.Record{Event: event, State: state})
}

func final(state string, exit *int) say.Look {
	switch {
	case state == "exit" && exit == nil:
		return say.As("qr-done-symbolic", i18n.C("outcome", "ended"), say.Quiet)
	case state == "exit" && *exit == 0:
		return say.As("qr-done-symbolic", i18n.T("exit %d", 0), say.Good)
	case state == "exit":
		return say.As("qr-failed-symbolic", i18n.T("exit %d", *exit), say.Warn)
	case state == "timeout":
		return say.As("qr-timeout-symbolic", i18n.C("outcome", "timed out"), say.Warn)
	case state == "cancelled":
		return say.As("qr-cancelled-symbolic", i18n.C("outcome", "cancelled"), say.Quiet)
	case state == "interrupted":
		return say.As("qr-interrupted-symbolic", i18n.C("outcome", "interrupted"), say.Warn)
	case state == "denied":
		return say.As("qr-denied-symbolic", i18n.C("outcome", "denied"), say.Bad)
	}
	return say.As("qr-info-symbolic", queue.Escape(state, 24), say.Quiet)
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
		return i18n.N(int(r.Count), "%d more request refused", "%d more requests refused", r.Count), false
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
		return i18n.T("a command ended")
	case "timeout":
		return i18n.T("a command was ended at its time limit")
	case "cancelled":
		return i18n.T("it was cancelled")
	case "interrupted":
		return i18n.T("the service ended before the command did")
	case "denied":
		return i18n.T("request denied")
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
		return i18n.Known(sentence) + ": " + queue.Escape(code, 60)
	}
	return i18n.Known(sentence)
}
