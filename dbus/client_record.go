package dbus

import (
	"encoding/json"
	"fmt"
	"time"
)

// maxRecord bounds a record's line, in bytes: the log's longest, which sum up
// what a start must know, have 32 MiB.
const maxRecord = 33 << 20

// UnreadableEvent is the event of a [Record] whose line is damaged.
const UnreadableEvent = "unreadable"

// Record is a record of the audit log (docs/audit.md). Its texts come from
// JSON and may hold anything: a program that shows them escapes them. An event
// that a reader does not know is shown by its name.
type Record struct {
	Seq   uint64    `json:"seq"`
	Time  time.Time `json:"time"`
	Event string    `json:"event"`
	Qube  string    `json:"qube"`
	ID    string    `json:"id"`

	Number  uint64 `json:"number"` // dom0's own number of the request, 0 for none
	Key     string `json:"key"`    // fingerprint
	Kind    string `json:"kind"`
	Version int    `json:"version"` // of the protocol
	Request string `json:"request"` // SHA-256 of the header
	Issued  int64  `json:"issued"`  // Unix seconds
	Expires int64  `json:"expires"` // Unix seconds
	Timeout int64  `json:"timeout"` // seconds
	UUID    string `json:"uuid"`
	Body    string `json:"body"`  // SHA-256 and size
	Stdin   string `json:"stdin"` // SHA-256 and size, or "none"
	Command string `json:"command"`

	State     string `json:"state"`
	Reason    string `json:"reason"`
	Rule      string `json:"rule"`        // of the policy, which decided
	Hash      string `json:"hash"`        // of the bytes that were approved
	Exit      *int   `json:"exit"`        // nil where no command ended
	StartedAt int64  `json:"started_at"`  // Unix seconds, 0: the shell never began
	Duration  int64  `json:"duration_ms"` // milliseconds
	Out       string `json:"out"`         // SHA-256 and size
	Err       string `json:"err"`         // SHA-256 and size

	// The ends of the outputs as delivered. Between a head and its tail Left
	// bytes are not in the record; a tail holds nothing that its head holds.
	OutHead string `json:"out_head"`
	OutTail string `json:"out_tail"`
	OutLeft int64  `json:"out_left"`
	ErrHead string `json:"err_head"`
	ErrTail string `json:"err_tail"`
	ErrLeft int64  `json:"err_left"`
	Escaped bool   `json:"excerpt_escaped"` // each line of these four is escaped already, as queue.Escape does

	Checkpoint string `json:"checkpoint"`
	Floor      int64  `json:"floor"` // Unix seconds
	Count      int64  `json:"count"`
	Oldest     int64  `json:"oldest"`
	Who        string `json:"who"`
	Way        string `json:"way"`
	Detail     string `json:"detail"`

	Line string `json:"-"` // exactly as in the log, without the line feed
}

// ParseRecord reads a line of the audit log, with or without its line feed. An
// error says that it is no JSON object with a number, time and event.
func ParseRecord(line string) (Record, error) {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if len(line) > maxRecord {
		return Record{}, fmt.Errorf("an audit record of %d bytes is longer than any can be", len(line))
	}
	var head struct {
		Seq   *uint64
		Time  *time.Time
		Event *string
	}
	r := Record{Line: line}
	if err := firstError(json.Unmarshal([]byte(line), &head), json.Unmarshal([]byte(line), &r)); err != nil {
		return Record{}, fmt.Errorf("cannot read an audit record: %w", err)
	}
	if head.Seq == nil || head.Time == nil || head.Event == nil || *head.Event == "" {
		return Record{}, fmt.Errorf("an audit record has no number, time or event")
	}
	return r, nil
}

// recordOf is ParseRecord for a reader that must show something of each line.
func recordOf(line string) Record {
	r, err := ParseRecord(line)
	if err != nil {
		return Record{Event: UnreadableEvent, Line: line}
	}
	return r
}
