// Package link keeps a desktop program connected to org.qvmremote1: it dials,
// mirrors, dials again when the bus was lost, and hands on what changed.
//
// It guarantees that news are handed on in their order, at most twenty times a
// second and never before the last ones were taken, so that no flood of signals
// keeps a main loop from answering its user; and that without a change it does
// nothing at all.
package link

import (
	"context"
	"time"

	"qvmremote/dbus"
)

// Report is what is new since the last one. The snapshot's AuditHead counts the
// news.
type Report struct {
	Snapshot dbus.Snapshot
	News     []dbus.News
	// Quiet is for what the program wants to know by itself: polkit asks nobody
	// because of it. Asking is for what a person just asked for. Both are nil
	// while there is no connection, and fail once it was lost.
	Quiet, Asking *dbus.Client
	// Fresh says that this is the first report of a connection: what was known
	// of audit records before may be another log's.
	Fresh bool
}

// Link is one program's connection. Its fields are set before Run.
type Link struct {
	// Address is the bus's, "" for the system bus.
	Address string
	// Deliver is handed each report and calls taken once it is done with it,
	// from whatever goroutine, at once or later. It must not wait.
	Deliver func(r Report, taken func())

	retry chan struct{}
	times times
}

// times are what tests shorten.
type times struct {
	apart   time.Duration // between two reports
	delay   time.Duration // before the first new try to connect; it doubles
	longest time.Duration
}

// New makes a link that Run brings to life.
func New(address string, deliver func(Report, func())) *Link {
	return &Link{
		Address: address, Deliver: deliver, retry: make(chan struct{}, 1),
		times: times{apart: 50 * time.Millisecond, delay: time.Second, longest: 30 * time.Second},
	}
}

// Retry tries at once what would otherwise be tried later or not at all.
func (l *Link) Retry() {
	select {
	case l.retry <- struct{}{}:
	default:
	}
}

// Run connects, and stays until ctx is done.
func (l *Link) Run(ctx context.Context) {
	delay := l.times.delay
	for ctx.Err() == nil {
		worked, err := l.once(ctx)
		if worked {
			delay = l.times.delay
		}
		if err != nil {
			l.deliver(ctx, Report{Snapshot: dbus.Snapshot{Availability: dbus.NoBus, Why: err.Error(), Stale: true}, Fresh: true})
		}
		select {
		case <-ctx.Done():
		case <-l.retry:
		case <-time.After(delay):
		}
		delay = min(2*delay, l.times.longest)
	}
}

// once is one connection, from the dialling to its end; worked is that the
// service was available through it. The error is why there was none.
func (l *Link) once(ctx context.Context) (worked bool, err error) {
	quiet, err := dbus.Dial(ctx, l.Address)
	if err != nil {
		return false, err
	}
	defer quiet.Close()
	asking, err := dbus.Dial(ctx, l.Address)
	if err != nil {
		return false, err
	}
	defer asking.Close()
	asking.Interactive = true
	mirror, err := dbus.NewMirror(ctx, quiet)
	if err != nil {
		return false, err
	}
	defer mirror.Close()
	fresh := true
	for {
		select {
		case _, more := <-mirror.Changed():
			news := mirror.TakeNews() // before the snapshot, which then counts them
			r := Report{Snapshot: mirror.Snapshot(), News: news, Quiet: quiet, Asking: asking, Fresh: fresh}
			worked = worked || r.Snapshot.Availability == dbus.Available
			if !more {
				r.Quiet, r.Asking = nil, nil
			}
			l.deliver(ctx, r)
			fresh = false
			if !more {
				return worked, nil
			}
		case <-l.retry:
			mirror.Retry()
		case <-ctx.Done():
			return worked, nil
		}
	}
}

// deliver hands a report on and waits until it was taken, and a moment.
func (l *Link) deliver(ctx context.Context, r Report) {
	if ctx.Err() != nil {
		return
	}
	taken := make(chan struct{})
	l.Deliver(r, func() { close(taken) })
	select {
	case <-taken:
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(l.times.apart):
	case <-ctx.Done():
	}
}
