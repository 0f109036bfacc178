package gate

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Why a call was denied, for errors.Is. A call whose context ended is denied
// with the context's error.
var (
	ErrUnknownMember  = errors.New("no rule names what was called")
	ErrUnknownCaller  = errors.New("it is not known who calls")
	ErrRefused        = errors.New("polkit says no")
	ErrPasswordNeeded = errors.New("a password is needed")
	ErrNoPolkit       = errors.New("polkit does not answer")
	ErrBusy           = errors.New("too many questions to polkit at once")
)

// Denied is a call that may not go on.
type Denied struct {
	Action string // that the call needs; empty where no rule says
	Reason string // for people: why, and what to do
	Cause  error  // one of the errors above, or a context's
}

// Error names the action and gives the reason.
func (d *Denied) Error() string {
	if d.Action == "" {
		return "denied: " + d.Reason
	}
	return "denied " + d.Action + ": " + d.Reason
}

// Unwrap gives errors.Is the cause.
func (d *Denied) Unwrap() error { return d.Cause }

// asRoot is the way that is always open to who may become root.
const asRoot = "run the command as root in dom0"

func unknownMember(m Member) error {
	return &Denied{Cause: ErrUnknownMember, Reason: fmt.Sprintf(
		"no rule says who may use %q, so nobody may; if it is in the documentation of this version, please report that", m)}
}

func unknownCaller(action string, err error) error {
	if errors.Is(err, context.Canceled) {
		return gone(action, context.Canceled)
	}
	return &Denied{action, fmt.Sprintf("it is not known who calls (%v); connect to the bus again and repeat the call", err), ErrUnknownCaller}
}

func refused(action string) error {
	return &Denied{action, "polkit's rules do not let you do this; ask who administers dom0, or " + asRoot, ErrRefused}
}

func passwordNeeded(action string, interactive bool) error {
	if interactive {
		return &Denied{action, "a password is needed and nothing can ask for it here; start a polkit agent (pkttyagent in a terminal), or " + asRoot, ErrPasswordNeeded}
	}
	return &Denied{action, "a password is needed, and the caller did not let polkit ask for it; let it, or " + asRoot, ErrPasswordNeeded}
}

func dismissed(action string) error {
	return &Denied{action, "the password dialog was closed; repeat the call to see it again", ErrPasswordNeeded}
}

func noPassword(action string, wait time.Duration) error {
	return &Denied{action, fmt.Sprintf("no password was given within %v; repeat the call to be asked again, or %s", wait, asRoot), ErrPasswordNeeded}
}

func noPolkit(action string, err error) error {
	return &Denied{action, fmt.Sprintf("polkit, which has to allow this, does not answer as it should (%q); see that polkit.service runs, or %s", err, asRoot), ErrNoPolkit}
}

func nonsense(action string) error {
	return noPolkit(action, errors.New("an answer of another form than polkit's"))
}

func busy(action string) error {
	return &Denied{action, "too many calls wait for polkit's answer already; wait for those and repeat the call", ErrBusy}
}

func gone(action string, err error) error {
	return &Denied{action, "the call ended before polkit had answered", err}
}
