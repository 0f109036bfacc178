// Package boot is the clock that grants are measured by: which boot of this
// machine it is, and how long that boot has lasted. It guarantees that neither a
// change of the wall clock, which dom0 takes from a qube, nor a suspended
// machine makes a time longer, and that two boots are never taken for one.
package boot

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// idFile is the kernel's own name of this boot.
const idFile = "/proc/sys/kernel/random/boot_id"

// Clock tells the time of one boot.
type Clock struct {
	ID  string               // of the boot; never ""
	Now func() time.Duration // since it began, the time asleep included
}

// This is the clock of the boot that the machine is in.
func This() (Clock, error) {
	b, err := os.ReadFile(idFile)
	if err != nil {
		return Clock{}, fmt.Errorf("cannot tell which boot this is: %w", err)
	}
	id := strings.TrimSpace(string(b))
	if id == "" {
		return Clock{}, fmt.Errorf("cannot tell which boot this is: %s is empty", idFile)
	}
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return Clock{}, fmt.Errorf("cannot tell how long this boot has lasted: %w", err)
	}
	return Clock{ID: id, Now: sinceBoot}, nil
}

// sinceBoot is called only after it has worked once: from then on the kernel has
// no reason to refuse.
func sinceBoot() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return 1<<63 - 1 // whatever was limited in time is over
	}
	return time.Duration(ts.Nano())
}

// Until is the end of d from now on, and Left what remains of it. An end that
// was set in another boot has passed.
func (c Clock) Until(d time.Duration) End {
	now := c.Now()
	if d > 1<<62-now {
		d = 1<<62 - now
	}
	return End{Boot: c.ID, At: now + d}
}

// UntilReboot is an end that only the next boot brings.
func (c Clock) UntilReboot() End { return End{Boot: c.ID} }

// End is a moment of one boot. The zero End never comes.
type End struct {
	Boot string        `json:"boot,omitempty"` // ID of the boot that it belongs to
	At   time.Duration `json:"at,omitempty"`   // since that boot began; 0 is its end
}

// IsZero reports whether e never comes.
func (e End) IsZero() bool { return e == End{} }

// Over reports whether e has come.
func (c Clock) Over(e End) bool {
	return !e.IsZero() && (e.Boot != c.ID || e.At != 0 && c.Now() >= e.At)
}

// Left is how long it is until e, 0 when it has come; ok is false for one that
// only a reboot brings, or that never comes.
func (c Clock) Left(e End) (left time.Duration, ok bool) {
	switch {
	case c.Over(e):
		return 0, true
	case e.At == 0:
		return 0, false
	}
	return e.At - c.Now(), true
}
