package words

import (
	"fmt"
	"strings"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
)

// Connection is whether dom0 reaches a qube, or why not.
func Connection(q dbus.Qube) say.Look {
	switch {
	case q.Running > 0:
		return say.As("qr-running-symbolic", "running", say.Accent)
	case q.KeyState == "none":
		return say.As("qr-key-symbolic", "no key", say.Warn)
	case q.KeyState == "unusable":
		return say.As("qr-key-symbolic", "key unusable", say.Bad)
	case q.Connection == "connected":
		return say.As("qr-done-symbolic", "connected", say.Good)
	case q.PowerState != "Running" && q.PowerState != "unknown" && q.PowerState != "":
		return say.As("qr-offline-symbolic", Power(q.PowerState), say.Quiet)
	case q.Connection == "":
		return say.As("qr-offline-symbolic", "not looked at", say.Quiet)
	}
	return say.As("qr-offline-symbolic", "not connected", say.Warn)
}

// QubeLine says of a qube what its row has room for.
func QubeLine(q dbus.Qube, last dbus.Record) string {
	var parts []string
	if q.Legacy {
		parts = append(parts, "legacy, insecure")
	}
	if !q.Configured {
		parts = append(parts, "not configured, so dom0 does not look at it")
	}
	if q.Connection != "" && q.Connection != "connected" && q.PowerState == "Running" {
		parts = append(parts, queue.Escape(q.Connection, 120))
	}
	if last.Event != "" {
		parts = append(parts, "last command "+say.When(last.Time))
	}
	if len(parts) == 0 {
		return "no command yet"
	}
	return strings.Join(parts, " · ")
}

// LastCommand is the newest command of a qube.
func LastCommand(r dbus.Record) string {
	if r.Event == "" {
		return "None among the newest"
	}
	return say.When(r.Time) + " · " + FirstLine(r.Command)
}

// QubeCounts is how the requests of a qube ended.
func QubeCounts(q dbus.Qube) string {
	return fmt.Sprintf("%d done · %d ended otherwise · %d refused", q.Completed, q.Failed, q.Refused)
}

// Power is a power state in the middle of a sentence.
func Power(state string) string {
	switch state {
	case "Running", "Halted", "Paused", "Crashed":
		return strings.ToLower(state)
	case "Transient":
		return "starting"
	case "Halting":
		return "shutting down"
	case "missing":
		return "missing"
	case "", "unknown":
		return "not known"
	}
	return queue.Escape(state, 24)
}

// KeyState says what there is in place of a fingerprint.
func KeyState(q dbus.Qube) string {
	switch q.KeyState {
	case "none":
		return "No key: its requests are denied"
	case "unusable":
		return "The stored key cannot be used; authorise the qube again"
	case "":
		return "Not known"
	}
	return queue.Escape(q.KeyState, 40)
}

// Looked says whether dom0 looks at a qube, and what it finds.
func Looked(q dbus.Qube) string {
	switch {
	case !q.Configured:
		return "No: it is not in QVM_REMOTE_VMS of remote.conf"
	case q.Connection == "":
		return "When the service runs"
	case q.Connection == "connected" && q.Transport == "poll":
		return "Yes, and it is polled: connected call by call"
	case q.Connection == "connected":
		return "Yes, and it is connected"
	}
	return "Yes: " + queue.Escape(q.Connection, 120)
}

// Available says of a qube that could be authorised what a choice needs.
func Available(q dbus.AvailableQube) string {
	return queue.Escape(q.Class, 24) + ", " + Power(q.PowerState)
}

// Authorised says what was stored, and what comes next.
func Authorised(qube, fingerprint, state string, warnings []string) string {
	text := "Its key has the fingerprint\n" + queue.Plain(fingerprint, maxLine) + "\n\n"
	if state == dbus.Running {
		text += "Its requests are taken from now on."
	} else {
		text += "Its requests are taken once the service runs: start it on the Overview."
	}
	for _, w := range warnings {
		text += "\n\n" + say.Sentence(queue.Plain(w, maxLine))
	}
	return text
}

// Queue is what lies in a qube's queue, as title and line.
func Queue(s dbus.QueueStatus, q dbus.Qube) (title, line string) {
	if s.Note != "" {
		return "The queue cannot be looked at now", say.Sentence(queue.Plain(s.Note, maxLine))
	}
	title = fmt.Sprintf("%d waiting · %d taken · %s not fetched", s.Pending, s.Running, say.Count(s.Results, "answer"))
	if s.Running > q.Open {
		line = "What is taken there and not worked on here is stuck: Recover answers it."
	}
	return title, line
}

// Files is how many files of a queue there are; more are not shown.
func Files(shown int, more uint64) string {
	if more > 0 {
		return fmt.Sprintf("The first %d of %d files", shown, uint64(shown)+more)
	}
	return say.Count(shown, "file")
}

// QueueEntry is one file of a queue, as title and line.
func QueueEntry(e dbus.QueueEntry) (title, line string) {
	line = fmt.Sprintf("%s · %s · %s old", queue.Escape(e.Folder, 24), say.Size(e.Size), say.Duration(e.Age))
	if e.Word != "" {
		line += " · " + queue.Plain(e.Word, 60)
	}
	return queue.Plain(e.Name, 140), line
}
