package daemon

import (
	"log/slog"
	"time"

	"qvmremote/daemon/boot"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/transport"
	"qvmremote/daemon/transport/poll"
)

// Options are what the command line decides; the rest is in remote.conf.
type Options struct {
	Root    paths.Root
	VMs     []string // instead of the configured ones
	Environ []string // where settings may come from
	Once    bool     // one look at each qube, to the end of what it brought
	DryRun  bool     // claim and answer, run nothing
	Self    string   // this program, for the supervisor; "" = found by itself
	Path    string   // PATH of the commands
	Now     func() time.Time
	Boot    boot.Clock // of the boot that grants are measured by; zero is the machine's
	Times   Times
	Front   Front        // told of the executor's life; nil is nobody
	Log     *slog.Logger // for the journal; its handler must quote what it prints
}

// Times are the executor's waits, all in one place so that tests shorten them.
type Times struct {
	Transport transport.Times
	Poll      poll.Times
	Events    qubes.Times   // of the connection that tells of changes of power states
	Wait      time.Duration // longest question for new names, at most a minute
	Power     time.Duration // between looks at the power states while a qube is not connected
	Quiet     time.Duration // a qube is left alone after a stream that had spoken ended
	Backoff   time.Duration // first pause after a failure, doubling
	MaxPause  time.Duration // longest pause after failures
	NoAgent   time.Duration // until our client is looked for again in a qube without it
	Skip      time.Duration // a refused id is not looked at again
	Paused    time.Duration // longest question for new names while nothing new is taken
	Calm      time.Duration // between questions to a qube that answers in a hurry for nothing
	Retry     time.Duration // between tries to write a record or to deliver, growing to MaxRetry
	MaxRetry  time.Duration
	Farewell  time.Duration // for deliveries after the last command was stopped
	GiveUp    time.Duration // an undelivered result is kept for so long
	Tidy      time.Duration // between looks at what may be forgotten or pruned
}

// DefaultTimes are those of docs/protocol.md.
func DefaultTimes() Times {
	return Times{
		Transport: transport.DefaultTimes(),
		Poll:      poll.DefaultTimes(),
		Events:    qubes.DefaultTimes(),
		Wait:      time.Minute,
		Power:     15 * time.Second,
		Quiet:     10 * time.Second,
		Backoff:   10 * time.Second,
		MaxPause:  5 * time.Minute,
		NoAgent:   10 * time.Minute,
		Skip:      time.Minute,
		Paused:    time.Second,
		Calm:      250 * time.Millisecond,
		Retry:     time.Second,
		MaxRetry:  time.Minute,
		Farewell:  5 * time.Second,
		GiveUp:    7 * 24 * time.Hour,
		Tidy:      10 * time.Minute,
	}
}
