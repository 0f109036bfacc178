package queue

import "time"

// Limits of the protocol (docs/protocol.md §10). Some of them a dom0 may lower;
// the daemon's settings hold the values in force.
const (
	MaxHeader   = 1 << 10  // bytes of a request, cancel or result header
	MaxScript   = 1 << 20  // bytes of a script
	MaxStdin    = 64 << 20 // bytes of standard input
	MaxOutput   = 10 << 20 // bytes of stdout, and of stderr, before the truncation note
	MaxDenied   = 1 << 10  // bytes of a .denied file
	MaxNames    = 1000     // names in one answer to wait or list
	MaxTimeout  = 86400    // seconds
	MaxPending  = 1000     // requests of one qube
	MaxWait     = time.Minute
	MaxQuestion = 8 // questions open at once on one stream, one of them a wait

	DefaultTimeout = 300 // seconds
	DefaultWithin  = 300 * time.Second
	DetachWithin   = 24 * time.Hour
	MaxWithin      = 24 * time.Hour   // expires − issued
	ClockSlack     = 60 * time.Second // how far ahead of dom0 a qube's clock may be
)

// Exit codes of a request's end and of the client (docs/protocol.md §11).
const (
	ExitUsage       = 1
	ExitTimeout     = 124
	ExitInternal    = 125 // qvm-remote itself failed; also an interrupted request
	ExitDenied      = 126
	ExitCancelled   = 130
	ExitBrokenPipe  = 141
	ExitInterrupted = 125
)
