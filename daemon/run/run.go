// Package run runs one command in dom0 and stays in charge of it until it is
// over. What it guarantees:
//
//   - The command is bash with $0 = qvm-remote, in an environment made from
//     nothing, with the default signals, mask and limits, umask 022 and no
//     descriptor but its stdin, stdout and stderr.
//   - When bash ends, the deadline passes, the context is cancelled or the
//     daemon dies (however it dies), every descendant is killed: also one that
//     was forked twice, has its own session or ignores signals.
//   - A child left in the background cannot hold the result, and neither can a
//     sink that does not take the output: Run comes back, at the latest
//     [Runner.Grace] and [Runner.Drain] after the deadline.
//   - Output is passed on as it arrives, through a buffer of fixed size, up to
//     a limit; what is beyond it is read and thrown away.
//
// A supervisor does that: this executable started once more (see [Supervise]),
// in a session of its own, as the subreaper that inherits every orphan of the
// command, with a socket to the daemon whose end tells it that the daemon is
// gone. With cgroup v2 (see [Runner.Setup]) the command is born in a group of
// its own, which the kernel kills as one.
//
// The command is root's. It is not held if it means to get away: by having
// another service start something for it (systemd-run, at, cron), by killing
// its supervisor after leaving its cgroup, or by writing to the daemon's
// memory. This package ends commands; it does not confine them.
package run

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	// DefaultMax is how many bytes of stdout, and of stderr, are passed on
	// when a Command names no limit.
	DefaultMax = 10 << 20
	// DefaultDrain is how long output is read after bash ended.
	DefaultDrain = time.Second
	// DefaultGrace is how long the supervisor may take to kill what is left.
	DefaultGrace = 5 * time.Second
)

// ErrCancelled is the cause (see context.WithCancelCause) for which a command
// is cancelled by its qube; with any other cause it is interrupted.
var ErrCancelled = errors.New("cancelled by the qube")

// Runner is what all commands have in common. Its methods may be called from
// several goroutines, after Sweep and Setup, which come first and once.
type Runner struct {
	// Dir is the folder of the run folders, 0700. It must be there, and only
	// this daemon may use it.
	Dir string
	// Home is where commands begin, and their HOME.
	Home string
	// Path is the commands' PATH; bash is looked up in it too.
	Path string
	// Lang is the commands' LANG; "" is C.UTF-8.
	Lang string
	// Self is the executable that is started as supervisor. "" is the one
	// that runs now, even when an upgrade has since replaced its file.
	Self string
	// Cgroup is the folder of the unit's delegated cgroup v2, as
	// [DelegatedCgroup] finds it; "" is none.
	Cgroup string
	// Limits hold for each command where the controller is there.
	Limits Limits
	// Drain is for how long output is read after bash ended; 0 is
	// DefaultDrain.
	Drain time.Duration
	// Grace is how long the supervisor may take to notice and to kill before
	// it is killed itself; 0 is DefaultGrace.
	Grace time.Duration

	grouped    bool        // Setup made the cgroup ready
	limitFiles []limitFile // what newGroup writes into a group
}

// Command is one command. The files named here are the daemon's own.
type Command struct {
	Script   string        // the spooled script, at most 16 MiB
	Stdin    string        // the spooled stdin; "" is /dev/null
	Qube, ID string        // for QVM_REMOTE_QUBE and QVM_REMOTE_ID
	Timeout  time.Duration // from the start of the shell; must be above 0

	// Out and Err take the output as it arrives, each from one goroutine; nil
	// throws it away. When a limit is reached the note
	// "\n[truncated at N bytes]\n" follows, and nothing more. A Write that
	// has not returned at the end of draining is not waited for and is the
	// last: it may go on after Run has returned.
	Out, Err       io.Writer
	MaxOut, MaxErr int64 // 0 is DefaultMax

	// Prepared is a supervisor that waits for this command; nil starts one.
	Prepared *Prepared
	// BeforeStart is the last question before the shell is started; an error
	// means that it is not. May be nil.
	BeforeStart func() error
	// Started is called once the shell has begun, and before Run returns. May
	// be nil.
	Started func()
}

// State is how a command came to its end.
type State string

// The states are those of the protocol's result header.
const (
	Exit        State = "exit"        // by itself
	Timeout     State = "timeout"     // the deadline passed
	Cancelled   State = "cancelled"   // the context ended with ErrCancelled
	Interrupted State = "interrupted" // the daemon stopped, or could not start it
)

// Exit codes of commands that did not end by themselves.
const (
	CodeTimeout     = 124
	CodeInterrupted = 125
	CodeCancelled   = 130
)

// Outcome is what became of a command.
type Outcome struct {
	State State
	Exit  int // the command's own, 128+N when signal N killed it, or a Code…
	// Began is false only if it is certain that no shell was started.
	Began bool
	// StartedAt is when the shell began; zero if that was not seen.
	StartedAt time.Time
	Duration  time.Duration // of the shell, by the monotonic clock
	// OutBytes and ErrBytes count what the sinks took, with the note.
	OutBytes, ErrBytes         int64
	OutTruncated, ErrTruncated bool
	// Err is for the log: why the command was not started, why its end was
	// not seen, that a sink failed or that a process could not be killed. It
	// can be set with State Exit, whose Exit is right all the same.
	Err error
}

// Run runs c to its end. Cancelling ctx kills the command and all its
// descendants.
func (r *Runner) Run(ctx context.Context, c Command) Outcome {
	j := c.Prepared.take(c)
	if j == nil {
		var err error
		if j, err = r.newJob(c); err != nil {
			return Outcome{State: Interrupted, Exit: CodeInterrupted, Err: err}
		}
	}
	j.take(c)
	if err := placeScript(j.folder, c.Script); err != nil {
		j.end(Interrupted, err)
	} else {
		j.run(ctx)
	}
	j.finish()
	return j.outcome
}

func (r *Runner) drain() time.Duration { return orDefault(r.Drain, DefaultDrain) }
func (r *Runner) grace() time.Duration { return orDefault(r.Grace, DefaultGrace) }

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}
