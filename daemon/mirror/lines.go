package mirror

import (
	"fmt"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

const (
	maxCommand = 200 // characters of a command that are shown
	maxDetail  = 300 // characters of a sentence
	maxWord    = 160 // characters of any other field; an id has up to 128
)

// Category is the word after a line's time.
type Category string

// The categories of the first version's log.
const (
	Info       Category = "INFO"
	Exec       Category = "EXEC"
	Cmd        Category = "CMD"
	AuthOK     Category = "AUTH-OK"
	AuthFail   Category = "AUTH-FAIL"
	AuthDeny   Category = "AUTH-DENY"
	Reject     Category = "REJECT"
	Done       Category = "DONE"
	DoneFail   Category = "DONE-FAIL"
	Failure    Category = "ERROR"
	TimeoutEnd Category = "TIMEOUT"
	Recover    Category = "RECOVER"
	Connect    Category = "CONNECT"
	Disconnect Category = "DISCONNECT"
)

var administrative = map[audit.Event]Category{
	audit.Replayed: Reject, audit.Dropped: Reject,
	audit.Connected: Connect, audit.Disconnected: Disconnect, audit.Recovered: Recover,
	audit.Torn: Failure, audit.Loss: Failure,
}

// category sorts a record into the first version's words.
func category(r audit.Record) Category {
	switch r.Event {
	case audit.Claim:
		return AuthOK
	case audit.Run:
		return Exec
	case audit.Final:
		return final(r)
	case audit.Refused:
		return refused(r.Reason)
	case audit.RefusedCount:
		return AuthFail
	}
	if c, ok := administrative[r.Event]; ok {
		return c
	}
	return Info
}

func final(r audit.Record) Category {
	switch r.State {
	case audit.Exit:
		if r.Exit != nil && *r.Exit != 0 {
			return DoneFail
		}
		return Done
	case audit.Timeout:
		return TimeoutEnd
	case audit.Denied:
		return Reject
	case audit.Interrupted:
		return Recover
	}
	return DoneFail
}

// refused: without a key the first version said AUTH-DENY, with a wrong one
// AUTH-FAIL, and REJECT when the request itself was at fault.
func refused(reason string) Category {
	switch queue.Reason(reason) {
	case queue.NoKey, queue.OtherQube:
		return AuthDeny
	case queue.BadMAC, queue.Malformed:
		return AuthFail
	}
	return Reject
}

// lines gives the record's lines for the log file, each ended by LF. What
// only matters inside dom0 has none.
func lines(r audit.Record) string {
	switch r.Event {
	case audit.CarryEvent, audit.Delivered:
		return ""
	case audit.Run:
		return line(r.Time, Exec, fields(r)) +
			line(r.Time, Cmd, word("vm", r.Qube)+word("id", r.ID)+" cmd="+queue.Quote(r.Command, maxCommand))
	}
	return line(r.Time, category(r), fields(r))
}

// line has dom0's local time with its offset, which the first version left
// out; up to the seconds it reads the same.
func line(at time.Time, c Category, text string) string {
	return "[" + at.Local().Format("2006-01-02T15:04:05Z07:00") + "] " + string(c) + text + "\n"
}

// fields are "name=value", in the first version's order where it had them.
func fields(r audit.Record) string {
	var b strings.Builder
	b.WriteString(word("vm", r.Qube) + word("id", r.ID))
	if r.Number > 0 {
		fmt.Fprintf(&b, " number=%d", r.Number)
	}
	if r.Event == audit.Final {
		b.WriteString(outcome(r))
	} else {
		b.WriteString(word("event", string(r.Event)))
	}
	if r.Version == 1 {
		b.WriteString(" legacy=insecure")
	}
	b.WriteString(word("kind", r.Kind) + word("reason", r.Reason) + word("key", strings.ReplaceAll(r.Key, " ", "-")))
	if r.Floor > 0 {
		fmt.Fprintf(&b, " floor=%d", r.Floor)
	}
	if r.Count > 0 {
		fmt.Fprintf(&b, " count=%d", r.Count)
	}
	b.WriteString(word("who", r.Who) + word("way", r.Way))
	if r.Detail != "" {
		b.WriteString(" detail=" + queue.Quote(r.Detail, maxDetail))
	}
	return b.String()
}

// outcome is how a request ended.
func outcome(r audit.Record) string {
	text := fmt.Sprintf(" duration=%dms", r.Duration)
	if r.Exit != nil {
		text += fmt.Sprintf(" exit=%d", *r.Exit)
	}
	if r.State != audit.Exit {
		text += word("state", string(r.State))
	}
	return text
}

// word is " name=value", quoted where the value is more than one plain word,
// and nothing when there is no value.
func word(name, value string) string {
	if value == "" {
		return ""
	}
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:-"
	if len(value) > maxWord || strings.Trim(value, plain) != "" {
		value = queue.Quote(value, maxWord)
	}
	return " " + name + "=" + value
}
