package audit

import (
	"encoding/json"
	"time"
)

// Event says what a record is about. The set grows; readers show an unknown
// event by its name.
type Event string

// The events. Those marked (request) carry Qube, ID and Number.
const (
	Claim     Event = "claim"     // (request) taken for good; written before a byte of the body is read
	Run       Event = "run"       // (request) the shell is about to start; carries the command text
	Final     Event = "final"     // (request) its one final state
	Delivered Event = "delivered" // (request) the qube has the result; carries the checkpoint's secret

	Refused      Event = "refused"       // a request without a claim was refused; Reason says why
	RefusedCount Event = "refused-count" // so many more refusals in that minute, not recorded singly
	Replayed     Event = "replayed"      // a copy of a claimed id was removed
	Dropped      Event = "dropped"       // a cancel that failed a check was removed

	Authorized   Event = "authorized" // key stored for Qube; Key is its fingerprint
	Revoked      Event = "revoked"
	Rotating     Event = "rotating" // a second key waits for its first valid use
	Rotated      Event = "rotated"  // it was used; the old key is dead
	Floor        Event = "floor"    // (Qube, Key) accept nothing issued before Floor
	Connected    Event = "connected"
	Disconnected Event = "disconnected"
	Cleaned      Event = "cleaned"   // an administrator removed Count files of the queue
	Recovered    Event = "recovered" // an administrator had a request settled that was left running in the qube
	Setting      Event = "setting"   // remote.conf changed, by hand where Way is "file"; Detail says how
	Started      Event = "started"   // the executor began
	Stopped      Event = "stopped"   // the executor ended cleanly
	Enabled      Event = "enabled"   // start at boot
	Disabled     Event = "disabled"  // no start at boot
	Paused       Event = "paused"    // the executor takes nothing new
	Resumed      Event = "resumed"   // it does again

	// StoppedEverything says that what ran was killed, what waited denied, and
	// that the executor is paused.
	StoppedEverything Event = "stopped-everything"

	Approved   Event = "approved"   // (request) Who in dom0 let it run, and what else with it: Detail; Hash is that of the bytes shown
	Suspended  Event = "suspended"  // nothing of Qube is taken any more; Detail says why
	Readmitted Event = "readmitted" // it is again, by an administrator

	CarryEvent Event = "carry"  // first record of every segment
	Torn       Event = "torn"   // bytes after the last LF were cut at start; Detail says how many
	Loss       Event = "loss"   // the log was shorter than its signed head; Detail says by how much
	Pruned     Event = "pruned" // whole segments were removed; Oldest is the first seq that is left

	// Unreadable is never written: readers show a damaged line as this event.
	Unreadable Event = "unreadable"
)

// State is the final state of a request (docs/protocol.md §1).
type State string

// The final states.
const (
	Exit        State = "exit"
	Timeout     State = "timeout"
	Cancelled   State = "cancelled"
	Denied      State = "denied"
	Interrupted State = "interrupted"
)

// Record is one line of the log. Fields that do not belong to the event are
// left out of the line. Text from a qube (Command, Detail) is valid UTF-8 by
// the time it gets here; JSON escapes its control characters.
type Record struct {
	Seq   int64     `json:"seq"`  // 0, 1, 2 … without a gap
	Time  time.Time `json:"time"` // UTC; wall clock, may jump
	Event Event     `json:"event"`
	Qube  string    `json:"qube,omitempty"`
	ID    string    `json:"id,omitempty"`

	Number    int64  `json:"number,omitempty"` // dom0's own number of the request, from 1
	Key       string `json:"key,omitempty"`    // fingerprint, never key material
	Kind      string `json:"kind,omitempty"`   // script, ping
	Version   int    `json:"version,omitempty"`
	Request   string `json:"request,omitempty"` // sha256:<hex> of the header as read
	Issued    int64  `json:"issued,omitempty"`  // Unix seconds, as the header says
	Expires   int64  `json:"expires,omitempty"`
	Timeout   int64  `json:"timeout,omitempty"` // seconds
	UUID      string `json:"uuid,omitempty"`    // of the qube that asked, where dom0's tools tell it
	Body      string `json:"body,omitempty"`    // "sha256:<hex> <bytes>"
	Stdin     string `json:"stdin,omitempty"`   // the same, or "none"
	Command   string `json:"command,omitempty"` // the script, cut at a bound and escaped where it is not UTF-8
	State     State  `json:"state,omitempty"`
	Reason    string `json:"reason,omitempty"` // denial code
	Rule      string `json:"rule,omitempty"`   // of the policy, which decided
	Hash      string `json:"hash,omitempty"`   // of script and input, as who approves them names it; of rules that were set
	Exit      *int   `json:"exit,omitempty"`
	StartedAt int64  `json:"started_at,omitempty"` // Unix seconds; 0 = the shell never began
	Duration  int64  `json:"duration_ms,omitempty"`
	Out       string `json:"out,omitempty"` // "sha256:<hex> <bytes>" as delivered
	Err       string `json:"err,omitempty"`

	// The ends of the two outputs as delivered: Tail holds nothing that Head
	// holds, and Left is how many bytes lie between them. See WithoutExcerpt.
	OutHead string `json:"out_head,omitempty"`
	OutTail string `json:"out_tail,omitempty"`
	OutLeft int64  `json:"out_left,omitempty"`
	ErrHead string `json:"err_head,omitempty"`
	ErrTail string `json:"err_tail,omitempty"`
	ErrLeft int64  `json:"err_left,omitempty"`
	Escaped bool   `json:"excerpt_escaped,omitempty"` // they were not all UTF-8, and each line of all four was escaped

	Checkpoint string `json:"checkpoint,omitempty"` // sha256:<hex>, what the qube holds
	Nonce      string `json:"nonce,omitempty"`      // hex of the 32 random bytes behind it
	Head       string `json:"head,omitempty"`       // the signed note behind it

	Floor  int64           `json:"floor,omitempty"` // Unix seconds
	Count  int64           `json:"count,omitempty"`
	Who    string          `json:"who,omitempty"`    // account that did it, "root", "1000"
	Way    string          `json:"way,omitempty"`    // cli, dbus, daemon, boot
	Detail string          `json:"detail,omitempty"` // a sentence for people
	Carry  json.RawMessage `json:"carry,omitempty"`  // the folded state, by its owner
	Oldest int64           `json:"oldest,omitempty"` // carry: lowest seq a start must still read; pruned: first seq left; loss: first seq lost
}

// WithoutExcerpt is r without the ends of the outputs, which are for readers of
// the log alone: long, and of no use to whoever decides on records.
func (r Record) WithoutExcerpt() Record {
	r.OutHead, r.OutTail, r.OutLeft = "", "", 0
	r.ErrHead, r.ErrTail, r.ErrLeft = "", "", 0
	r.Escaped = false
	return r
}

func (r *Record) hasExcerpt() bool { return r.OutHead+r.OutTail+r.ErrHead+r.ErrTail != "" }
