package approval

import (
	"errors"
	"fmt"
	"time"
)

// Question is a request that somebody in dom0 must decide about. Its bytes are
// frozen: they are in dom0, and nothing that the qube does changes them.
type Question struct {
	Number   int64  // dom0's own, of the request
	Qube     string // who asks
	Key      string // fingerprint of the key that the request was signed with
	Since    string // names the authorisation of that key
	Hash     string // of the bytes, by [queue.HashOf]
	Received time.Time
	Expires  time.Time // nobody can approve it from then on
	Script   int64     // bytes
	Stdin    int64     // bytes; -1 is none
	Rule     string    // of the policy, that asks
	Waiting  int       // how many of the qube wait behind it
}

// Scope is what an approval is good for, beside the request that it answers.
// The zero Scope is that request alone.
type Scope struct {
	Qube        bool          // whatever of the qube is asked about, not these bytes alone
	For         time.Duration // for so long, 0 is no such end
	Count       int64         // for so many more requests, 0 is no such end
	UntilReboot bool          // until dom0 reboots, which ends any other as well
}

// Bounds of a [Scope].
const (
	MaxFor   = 7 * 24 * time.Hour
	MaxCount = 10_000
)

// ErrScope says that a scope cannot be granted.
var ErrScope = errors.New("no approval can be given like that")

// Check says why the scope cannot be granted.
func (s Scope) Check() error {
	switch {
	case s.For < 0 || s.For > MaxFor:
		return fmt.Errorf("%w: for up to %d hours", ErrScope, MaxFor/time.Hour)
	case s.Count < 0 || s.Count > MaxCount:
		return fmt.Errorf("%w: for up to %d requests", ErrScope, MaxCount)
	case s.UntilReboot && s.For != 0:
		return fmt.Errorf("%w: for a time, or until the reboot", ErrScope)
	case s.Qube && s.once():
		return fmt.Errorf("%w: for whatever a qube asks, say for how long, how often, or until the reboot", ErrScope)
	}
	return nil
}

func (s Scope) once() bool { return s.For == 0 && s.Count == 0 && !s.UntilReboot }

// String says for people what was approved.
func (s Scope) String() string {
	if s.once() {
		return "once"
	}
	text := "this command"
	if s.Qube {
		text = "whatever this qube asks"
	}
	if s.Count > 0 {
		text += fmt.Sprintf(", %d more times", s.Count)
	}
	if s.For > 0 {
		text += ", for " + s.For.String()
	}
	return text + ", until the reboot at most"
}
