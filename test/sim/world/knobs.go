package world

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Knob is a way to make the simulated machine misbehave. It is set for one
// qube or for the whole world by a file, or for one call by the environment
// (SIM_ and the name in capitals); the narrowest wins.
type Knob string

// The knobs. README.md says what each does.
const (
	Delay      Knob = "delay"       // duration before each qvm-run begins
	Hold       Knob = "hold"        // duration the first data is held back
	Noise      Knob = "noise"       // bytes on stdout before the command
	Stall      Knob = "stall"       // bytes from the qube after which nothing passes
	CloseAfter Knob = "close-after" // bytes from the qube after which the connection is lost
	Flood      Knob = "flood"       // stdout, stderr or both: endless bytes
	Hang       Knob = "hang"        // 1: a child in the qube keeps stdout and stderr open
	Refuse     Knob = "refuse"      // exit code 1..255 instead of a connection
	ExecLimit  Knob = "exec-limit"  // calls at once, more are refused with 125
	Implement  Knob = "qvm-run"     // inherit (admin-client 4.3.34) or copy (older)
	VMExec     Knob = "vmexec"      // 0: the qube lacks the feature
	Race       Knob = "race"        // 1: a Halting qube is down right after qvm-run's check
	StartFail  Knob = "start-fail"  // 1: the qube cannot be started
	StartDelay Knob = "start-delay" // duration of a start
	Isolation  Knob = "isolation"   // auto, user, mount or plain
	Share      Knob = "share"       // host folders seen in qubes, one a line
	Env        Knob = "env"         // NAME=VALUE lines for processes in qubes
	HomeSize   Knob = "home-size"   // bytes of a disk of its own for the home, empty at each start
	Events     Knob = "events"      // absent, refuse, garbage, stall or close, instead of events; for the whole world
)

var checks = map[Knob]func(string) error{
	Delay: isDuration, Hold: isDuration, StartDelay: isDuration,
	Stall: isCount, CloseAfter: isCount, ExecLimit: isCount, HomeSize: isCount, Refuse: isCode,
	Flood: oneOf("stdout", "stderr", "both"), Implement: oneOf("inherit", "copy"),
	Isolation: oneOf("auto", "user", "mount", "plain"),
	Hang:      oneOf("0", "1"), VMExec: oneOf("0", "1"), Race: oneOf("0", "1"), StartFail: oneOf("0", "1"),
	Events: oneOf("absent", "refuse", "garbage", "stall", "close"),
	Noise:  anything, Share: anything, Env: anything,
}

func anything(string) error { return nil }

func isDuration(s string) error {
	if d, err := time.ParseDuration(s); err != nil || d < 0 {
		return fmt.Errorf("%q is no duration such as 200ms", s)
	}
	return nil
}

func isCount(s string) error {
	if n, err := strconv.ParseInt(s, 10, 64); err != nil || n < 0 {
		return fmt.Errorf("%q is no number", s)
	}
	return nil
}

func isCode(s string) error {
	if n, err := strconv.Atoi(s); err != nil || n < 1 || n > 255 {
		return fmt.Errorf("%q is no exit code from 1 to 255", s)
	}
	return nil
}

func oneOf(words ...string) func(string) error {
	return func(s string) error {
		for _, w := range words {
			if s == w {
				return nil
			}
		}
		return fmt.Errorf("%q is none of %s", s, strings.Join(words, ", "))
	}
}

// variable is the knob's name in the environment.
func (k Knob) variable() string {
	switch k {
	case Delay:
		return "SIM_QVM_RUN_DELAY"
	case Hold:
		return "SIM_QVM_RUN_HOLD"
	}
	return "SIM_" + strings.ToUpper(strings.ReplaceAll(string(k), "-", "_"))
}

// CheckEnvironment finds knobs in the environment that make no sense: a delay
// that silently was none would be believed.
func CheckEnvironment() error {
	for k, check := range checks {
		if v := os.Getenv(k.variable()); v != "" {
			if err := check(v); err != nil {
				return fmt.Errorf("%s: %w", k.variable(), err)
			}
		}
	}
	return nil
}

// Set turns a knob for one qube, or for all when qube is empty. The empty
// value turns it back.
func (w World) Set(qube string, k Knob, value string) error {
	check, ok := checks[k]
	if !ok {
		return fmt.Errorf("unknown knob %q", k)
	}
	dir := w.path("knobs")
	if qube != "" {
		if !w.Exists(qube) {
			return fmt.Errorf("%w: %q", ErrNoQube, qube)
		}
		dir = w.QubePath(qube, "knobs")
	}
	if value == "" {
		if err := os.Remove(filepath.Join(dir, string(k))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("knob %s: %w", k, err)
		}
		return nil
	}
	if err := check(value); err != nil {
		return fmt.Errorf("knob %s: %w", k, err)
	}
	return Write(filepath.Join(dir, string(k)), value)
}

// Knob reads a knob as it stands for a qube ("" for none in particular). One
// that is not set, or set to what it does not understand, is "".
func (w World) Knob(qube string, k Knob) string {
	v, ok := os.LookupEnv(k.variable())
	if !ok && qube != "" {
		b, err := os.ReadFile(w.QubePath(qube, "knobs", string(k)))
		v, ok = string(b), err == nil
	}
	if !ok {
		b, _ := os.ReadFile(w.path("knobs", string(k)))
		v = string(b)
	}
	if v == "" || checks[k](v) != nil {
		return ""
	}
	return v
}

// Duration reads a knob that is a time; 0 when it is not set.
func (w World) Duration(qube string, k Knob) time.Duration {
	d, _ := time.ParseDuration(w.Knob(qube, k))
	return d
}

// Count reads a knob that is a number; ok is false when it is not set.
func (w World) Count(qube string, k Knob) (n int64, ok bool) {
	n, err := strconv.ParseInt(w.Knob(qube, k), 10, 64)
	return n, err == nil
}

// On reads a knob that is 0 or 1, with what it is when not set.
func (w World) On(qube string, k Knob, unset bool) bool {
	switch w.Knob(qube, k) {
	case "1":
		return true
	case "0":
		return false
	}
	return unset
}
