package mirror

import (
	"fmt"
	"strconv"

	"github.com/coreos/go-systemd/v22/journal"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// Entry is what the journal gets for one record.
type Entry struct {
	Message  string
	Priority journal.Priority
	Fields   map[string]string
}

// sender returns the way to the journal, or nil when there is none.
func sender() func(Entry) error {
	if !journal.Enabled() {
		return nil
	}
	return func(e Entry) error {
		if err := journal.Send(e.Message, e.Priority, e.Fields); err != nil {
			return fmt.Errorf("cannot write to the journal: %w", err)
		}
		return nil
	}
}

// entry makes the record's entry: the log's line as message, and fields to
// search by. Every value is one escaped line.
func entry(r audit.Record) Entry {
	c := category(r)
	text := string(c) + fields(r)
	if r.Event == audit.Run {
		text += " cmd=" + queue.Quote(r.Command, maxCommand)
	}
	e := Entry{Message: text, Priority: priority(r, c), Fields: map[string]string{
		"SYSLOG_IDENTIFIER": "qvm-remote-dom0",
		"QVM_REMOTE_SEQ":    strconv.FormatInt(r.Seq, 10),
	}}
	for name, value := range map[string]string{
		"QVM_REMOTE_EVENT":  string(r.Event),
		"QVM_REMOTE_QUBE":   r.Qube,
		"QVM_REMOTE_ID":     r.ID,
		"QVM_REMOTE_STATE":  string(r.State),
		"QVM_REMOTE_REASON": r.Reason,
	} {
		if value != "" {
			e.Fields[name] = queue.Escape(value, maxWord)
		}
	}
	if r.Number > 0 {
		e.Fields["QVM_REMOTE_NUMBER"] = strconv.FormatInt(r.Number, 10)
	}
	return e
}

func priority(r audit.Record, c Category) journal.Priority {
	switch c {
	case Failure:
		return journal.PriErr
	case AuthFail, AuthDeny, Reject, Recover:
		return journal.PriWarning
	case TimeoutEnd, DoneFail:
		return journal.PriNotice
	}
	switch r.Event {
	case audit.Delivered:
		return journal.PriDebug
	case audit.Authorized, audit.Revoked, audit.Rotating, audit.Rotated, audit.Setting, audit.Enabled, audit.Disabled,
		audit.Paused, audit.Resumed, audit.StoppedEverything, audit.Approved, audit.Suspended, audit.Readmitted:
		return journal.PriNotice
	}
	return journal.PriInfo
}
