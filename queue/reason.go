package queue

import "strings"

// Reason is the code of a refusal: client, log and audit show the same word.
// The set grows; a reader shows an unknown one as it is.
type Reason string

// The reasons. Down to Replayed they are found without a good MAC and claim
// nothing; those below use the id up, except Stale, which needs no claim since
// its time can never come again.
const (
	NoKey       Reason = "no-key"
	Malformed   Reason = "malformed"
	BadMAC      Reason = "bad-mac"
	Replayed    Reason = "replayed"
	Stale       Reason = "stale"
	Future      Reason = "future"
	Expired     Reason = "expired"
	WrongQube   Reason = "wrong-qube"
	OtherQube   Reason = "other-qube"
	WrongID     Reason = "wrong-id"
	Unsupported Reason = "unsupported"
	Limit       Reason = "limit"
	Rate        Reason = "rate"
	Mismatch    Reason = "mismatch"
	Empty       Reason = "empty"
	Binary      Reason = "binary"
	NotReady    Reason = "not-ready"
	Unreadable  Reason = "unreadable"

	// Of dom0's rules for the qube.
	NoPolicy     Reason = "no-policy"
	BadPolicy    Reason = "bad-policy"
	NoRule       Reason = "no-rule"
	PolicyDenied Reason = "policy"

	// What dom0's administrator decides.
	NotApproved Reason = "not-approved"
	NoApprover  Reason = "no-approver"
	GrantEnded  Reason = "grant-ended"
	Suspended   Reason = "suspended"

	// Of version 1 only.
	NoToken  Reason = "no-token"
	BurnLost Reason = "burn-lost"
)

var sentences = map[Reason]string{
	NoKey:        "dom0 holds no key for this qube. In dom0: qvm-remote-dom0 authorize NAME",
	Malformed:    "the request header is not in the form this dom0 reads. Is the client older or newer than dom0?",
	BadMAC:       "the request was not signed with the key dom0 holds for this qube. Compare the fingerprints: qvm-remote status, and in dom0 qvm-remote-dom0 keys",
	Replayed:     "this id was used before; a request runs at most once. Submit it again to get a new id",
	Stale:        "the request is older than dom0 still remembers, or this qube's clock is behind. Check the clock, then submit again",
	Future:       "the request is dated in the future. Check this qube's clock, then submit again",
	Expired:      "the request came too late: its time to start had passed. Submit it again, with --within for longer",
	WrongQube:    "the request names another qube than the one dom0 opened",
	OtherQube:    "a qube of this name was authorised, but this one was created since. In dom0: qvm-remote-dom0 authorize NAME",
	WrongID:      "the request's id is not its file's name",
	Unsupported:  "this dom0 does not know that kind of request",
	Limit:        "the request is over a limit of this dom0",
	Rate:         "this qube asks for more in a minute than dom0 takes. Wait a little, then submit it again",
	Mismatch:     "the script or the input is not what the request's header says; it changed after it was signed",
	Empty:        "the script is empty",
	Binary:       "the script has control characters other than tab and newline; pass data with --stdin",
	NotReady:     "dom0 cannot take requests now",
	Unreadable:   "dom0 could not read the script or the input in this qube before the request expired",
	NoPolicy:     "dom0 has no rules for this qube, so nothing is allowed. In dom0: qvm-remote-dom0 policy edit NAME",
	BadPolicy:    "dom0's rules for this qube have an error, so nothing is allowed. In dom0: qvm-remote-dom0 policy check NAME",
	NoRule:       "no rule of dom0 for this qube is about this, so it is not allowed. In dom0: qvm-remote-dom0 policy explain NAME COMMAND",
	PolicyDenied: "a rule of dom0 for this qube denies this",
	NotApproved:  "somebody in dom0 was asked and said no, or what was approved for a while counts no more",
	NoApprover:   "dom0's policy wants a person to approve this, and nobody did in time. In dom0: qvm-remote-dom0 requests",
	GrantEnded:   "this qube was authorised for a time or for so many commands, and that is over. In dom0: qvm-remote-dom0 limit NAME",
	Suspended:    "dom0 takes nothing of this qube because too many of its requests were not signed with its key. In dom0: qvm-remote-dom0 resume NAME",
	NoToken:      "the script has no token, or half of one; it is left alone",
	BurnLost:     "dom0 lost track of the version-1 ids this qube has used. Give the qube a new key: in it qvm-remote key gen, in dom0 qvm-remote-dom0 authorize NAME",
}

// Sentence says r for people, and what to do next.
func (r Reason) Sentence() string {
	if s, ok := sentences[r]; ok {
		return s
	}
	return "dom0 refused the request"
}

// Denial is a refusal.
type Denial struct {
	Reason Reason
	Detail string // what Sentence does not know: names, clocks, limits; may be ""
	// Authentic: the header's MAC was good, so the refusal uses the id up.
	Authentic bool
}

// Error makes a Denial an error that names its reason.
func (d *Denial) Error() string { return "denied(" + string(d.Reason) + "): " + d.Sentence() }

// Sentence is the reason's, with the detail.
func (d *Denial) Sentence() string {
	if d.Detail == "" {
		return d.Reason.Sentence()
	}
	return d.Reason.Sentence() + " (" + d.Detail + ")"
}

// File is the content of results/<id>.denied: the reason's code, LF, one line
// for people, LF; at most [MaxDenied] bytes. A detail with line ends or other
// controls in it, or too long, changes nothing of that form.
func (d *Denial) File() []byte {
	s := string(d.Reason) + "\n" + oneLine(d.Sentence())
	if len(s) > MaxDenied-1 {
		s = strings.ToValidUTF8(s[:MaxDenied-1], "") // no half character
	}
	return []byte(s + "\n")
}
