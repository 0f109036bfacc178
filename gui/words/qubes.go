package words

import (
	"strings"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// Connection is whether dom0 reaches a qube, or why not.
func Connection(q dbus.Qube) say.Look {
	switch {
	case q.Running > 0:
		return say.As("qr-running-symbolic", i18n.T("running"), say.Accent)
	case q.KeyState == "none":
		return say.As("qr-key-symbolic", i18n.T("no key"), say.Warn)
	case q.KeyState == "unusable":
		return say.As("qr-key-symbolic", i18n.T("key unusable"), say.Bad)
	case q.Connection == "connected":
		return say.As("qr-done-symbolic", i18n.T("connected"), say.Good)
	case q.PowerState != "Running" && q.PowerState != "unknown" && q.PowerState != "":
		return say.As("qr-offline-symbolic", Power(q.PowerState), say.Quiet)
	case q.Connection == "":
		return say.As("qr-offline-symbolic", i18n.T("not looked at"), say.Quiet)
	}
	return say.As("qr-offline-symbolic", i18n.T("not connected"), say.Warn)
}

// QubeLine says of a qube what its row has room for.
func QubeLine(q dbus.Qube, last dbus.Record) string {
	var parts []string
	if q.Legacy {
		parts = append(parts, i18n.T("legacy, insecure"))
	}
	if !q.Configured {
		parts = append(parts, i18n.T("not configured, so dom0 does not look at it"))
	}
	if q.Connection != "" && q.Connection != "connected" && q.PowerState == "Running" {
		parts = append(parts, queue.Escape(q.Connection, 120))
	}
	if last.Event != "" {
		parts = append(parts, i18n.T("last command %s", say.When(last.Time)))
	}
	if len(parts) == 0 {
		return i18n.T("no command yet")
	}
	return strings.Join(parts, " · ")
}

// LastCommand is the newest command of a qube.
func LastCommand(r dbus.Record) string {
	if r.Event == "" {
		return i18n.T("None among the newest")
	}
	return say.When(r.Time) + " · " + FirstLine(r.Command)
}

// QubeCounts is how the requests of a qube ended.
func QubeCounts(q dbus.Qube) string {
	return i18n.T("%d done · %d ended otherwise · %d refused", q.Completed, q.Failed, q.Refused)
}

// Power is a power state in the middle of a sentence.
func Power(state string) string {
	switch state {
	case "Running":
		return i18n.T("running")
	case "Halted":
		return i18n.T("halted")
	case "Paused":
		return i18n.T("paused")
	case "Crashed":
		return i18n.T("crashed")
	case "Transient":
		return i18n.T("starting")
	case "Halting":
		return i18n.T("shutting down")
	case "missing":
		return i18n.T("missing")
	case "", "unknown":
		return i18n.T("not known")
	}
	return queue.Escape(state, 24)
}

// KeyState says what there is in place of a fingerprint.
func KeyState(q dbus.Qube) string {
	switch q.KeyState {
	case "none":
		return i18n.T("No key: its requests are denied")
	case "unusable":
		return i18n.T("The stored key cannot be used; authorise the qube again")
	case "":
		return i18n.T("Not known")
	}
	return queue.Escape(q.KeyState, 40)
}

// Looked says whether dom0 looks at a qube, and what it finds.
func Looked(q dbus.Qube) string {
	switch {
	case !q.Configured:
		return i18n.T("No: it is not in QVM_REMOTE_VMS of remote.conf")
	case q.Connection == "":
		return i18n.T("When the service runs")
	case q.Connection == "connected" && q.Transport == "poll":
		return i18n.T("Yes, and it is polled: connected call by call")
	case q.Connection == "connected":
		return i18n.T("Yes, and it is connected")
	}
	return i18n.T("Yes: %s", queue.Escape(q.Connection, 120))
}

// Available says of a qube that could be authorised what a choice needs.
func Available(q dbus.AvailableQube) string {
	return queue.Escape(q.Class, 24) + ", " + Power(q.PowerState)
}

// Authorised says what was stored, and what comes next.
func Authorised(qube, fingerprint, state string, warnings []string) string {
	text := i18n.T("Its key has the fingerprint") + "\n" + queue.Plain(fingerprint, maxLine) + "\n\n"
	if state == dbus.Running {
		text += i18n.T("Its requests are taken from now on.")
	} else {
		text += i18n.T("Its requests are taken once the service runs: start it on the Overview.")
	}
	for _, w := range warnings {
		text += "\n\n" + say.Sentence(queue.Plain(w, maxLine))
	}
	return text
}

// Queue is what lies in a qube's queue, as title and line.
func Queue(s dbus.QueueStatus, q dbus.Qube) (title, line string) {
	if s.Note != "" {
		return i18n.T("The queue cannot be looked at now"), say.Sentence(queue.Plain(s.Note, maxLine))
	}
	title = i18n.T("%d waiting · %d taken · %s not fetched", s.Pending, s.Running, i18n.N(int(s.Results), "%d answer", "%d answers", s.Results))
	if s.Running > q.Open {
		line = i18n.T("What is taken there and not worked on here is stuck: Recover answers it.")
	}
	return title, line
}

// Files is how many files of a queue there are; more are not shown.
func Files(shown int, more uint64) string {
	if more > 0 {
		return i18n.T("The first %d of %d files", shown, uint64(shown)+more)
	}
	return i18n.N(shown, "%d file", "%d files", shown)
}

// QueueEntry is one file of a queue, as title and line.
func QueueEntry(e dbus.QueueEntry) (title, line string) {
	line = i18n.T("%s · %s · %s old", queue.Escape(e.Folder, 24), say.Size(e.Size), say.Duration(e.Age))
	if e.Word != "" {
		line += " · " + queue.Plain(e.Word, 60)
	}
	return queue.Plain(e.Name, 140), line
}
