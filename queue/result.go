package queue

import (
	"fmt"
	"strconv"
)

// State is how a request ended (docs/protocol.md §1, 5).
type State string

// The final states.
const (
	StateExit        State = "exit"
	StateTimeout     State = "timeout"
	StateCancelled   State = "cancelled"
	StateDenied      State = "denied"
	StateInterrupted State = "interrupted"
)

func (s State) valid() bool {
	switch s {
	case StateExit, StateTimeout, StateCancelled, StateDenied, StateInterrupted:
		return true
	}
	return false
}

// NoExit is the Exit of a denied request, spelled "none".
const NoExit = -1

// Result is the header results/<id>.auth, dom0's signed answer. The client
// believes nothing else.
type Result struct {
	ID         string // the file's name
	Qube       string
	Request    Digest // of the request header as dom0 read it
	State      State
	Reason     Reason // why it was denied, else ""
	Exit       int    // 0 … 255, or [NoExit]
	Started    int64  // Unix seconds on dom0's clock; 0 = the shell never began
	DurationMS int64
	Out        Sum    // as delivered, truncation note included; "none" when denied
	Err        Sum    // the same; when denied the whole .denied file
	Checkpoint string // "sha256:<hex>", or "" where nothing was claimed
}

func (r *Result) encode() []byte {
	return fmt.Appendf(nil, "qvm-remote/2 result\nid %s\nqube %s\nrequest %s\nstate %s\nreason %s\nexit %s\nstarted %d\nduration_ms %d\nout %s\nerr %s\ncheckpoint %s\n",
		r.ID, r.Qube, r.Request, r.State, orNone(string(r.Reason)), r.exit(), r.Started, r.DurationMS, r.Out, r.Err, orNone(r.Checkpoint))
}

func (r *Result) exit() string {
	if r.Exit == NoExit {
		return "none"
	}
	return strconv.Itoa(r.Exit)
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func notNone(s string) string {
	if s == "none" {
		return ""
	}
	return s
}

// Sign spells r and signs it with dom0's result key.
func (r *Result) Sign(k MACKey) []byte { return k.sign(r.encode()) }

// OpenResult parses a result header and checks its MAC. The error is
// [ErrMalformed] or [ErrMAC]; the Result is zero then. Whether it answers the
// request at hand is the caller's check: compare ID and Request.
func OpenResult(b []byte, k MACKey) (Result, error) {
	r, e, err := parseResult(b)
	if err != nil {
		return Result{}, err
	}
	if !e.authentic(k) {
		return Result{}, ErrMAC
	}
	return r, nil
}

// ReadOwnResult parses a result that this side signed itself, without checking
// its MAC. Never use it on bytes from the other side: see [OpenResult].
func ReadOwnResult(b []byte) (Result, error) {
	r, _, err := parseResult(b)
	return r, err
}

func parseResult(b []byte) (Result, envelope, error) {
	f := newFields(b, "qvm-remote/2 result")
	r := Result{
		ID: f.text("id"), Qube: f.text("qube"), Request: f.digest("request"),
		State: State(f.text("state")), Reason: Reason(notNone(f.text("reason"))), Exit: f.exit(),
		Started: f.time("started"), DurationMS: f.number("duration_ms"),
		Out: f.sum("out"), Err: f.sum("err"), Checkpoint: notNone(f.text("checkpoint")),
	}
	mac := f.mac()
	if !ValidID(r.ID) || !ValidQube(r.Qube) || !r.State.valid() || r.Reason != "" && !token(string(r.Reason)) {
		f.bad = true
	}
	if r.Checkpoint != "" {
		f.hash(r.Checkpoint)
	}
	if (r.State == StateDenied) != (r.Exit == NoExit) || (r.State == StateDenied) != (r.Reason != "") {
		f.bad = true
	}
	e, err := f.seal(b, mac, r.encode())
	if err != nil {
		return Result{}, e, err
	}
	return r, e, nil
}

func (f *fields) exit() int {
	v := f.text("exit")
	if v == "none" {
		return NoExit
	}
	n := f.decimal(v)
	if n > 255 {
		f.bad = true
	}
	return int(n)
}
