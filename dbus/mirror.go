package dbus

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// Availability says whether the service can be used, and if not, why.
type Availability string

// The availabilities. Only under Available do calls make sense; under all
// others Snapshot.Why says more, for people.
const (
	Connecting Availability = "connecting"   // nothing is known yet
	Available  Availability = "available"    // what the mirror shows is what the service says
	Restarting Availability = "restarting"   // the service went away and is asked for again
	NoService  Availability = "absent"       // it is not installed, cannot be started, or does not answer
	Forbidden  Availability = "denied"       // the bus does not let this account speak to it
	Mismatched Availability = "incompatible" // it does not have what this program needs
	NoBus      Availability = "disconnected" // the connection to the bus is lost; nothing changes any more
)

// Snapshot is what a mirror knows at one moment. It belongs to the caller.
type Snapshot struct {
	Availability Availability
	Why          string // for people; "" while available
	// Stale says that Manager and Qubes are what was last known, and that they
	// are being, or cannot be, read anew. They are kept so that an app can show
	// them, without its buttons, over a restart.
	Stale   bool
	Manager Manager
	Qubes   []Qube // by name
	// Requests wait for somebody to approve them, the oldest first. Unlike the
	// others they are not kept while Stale: nobody can decide about one then.
	Requests []Request
}

// Mirror keeps what the service says of itself and its qubes, and what is new
// in the audit log, up to date by the service's signals. It asks nothing of the
// bus while nothing happens.
//
// An app keeps one for as long as it runs:
//
//	for range mirror.Changed() {
//		news, now := mirror.TakeNews(), mirror.Snapshot()
//		glib.IdleAdd(func() { show(now, news) })
//	}
//
// However much changes between two looks, one is enough: it tells the state as
// it is, and all news since the last look, in order. A consumer may be as slow
// as it likes; it costs neither the service nor the connection anything.
//
// When the service restarts, or another program takes its name over, the
// mirror subscribes and reads everything again, and fetches the audit records
// it missed meanwhile. When nobody owns the name, subscribing starts the
// service. Where that fails the mirror tries again some times, more and more
// slowly; then it waits for the name to appear, or for [Mirror.Retry].
type Mirror struct {
	client  *Client
	end     context.CancelFunc
	ended   chan struct{}
	changed chan struct{} // capacity 1; closed at the end
	retry   chan struct{} // capacity 1
	limits  limits

	mu       sync.Mutex
	shown    Snapshot // without Qubes and Requests
	qubes    map[string]Qube
	requests map[uint64]Request
	records  recordLog
}

// limits are what tests shorten.
type limits struct {
	news    int           // audit records that wait for the consumer, or are fetched after a gap
	delay   time.Duration // before the second try; it doubles with each
	longest time.Duration // that delay
	tries   int
	settled time.Duration // a service that lasted so long did not fail to start
}

func usualLimits() limits {
	return limits{news: 10_000, delay: time.Second, longest: 30 * time.Second, tries: 6, settled: 30 * time.Second}
}

// NewMirror begins to mirror; it waits for nothing. The mirror ends with ctx,
// with Close, or with the connection. A client has one mirror at a time.
func NewMirror(ctx context.Context, c *Client) (*Mirror, error) {
	return newMirror(ctx, c, usualLimits())
}

func newMirror(ctx context.Context, c *Client, l limits) (*Mirror, error) {
	if !c.signals.open() {
		return nil, errors.New("this client has a mirror already; use that, or dial another client")
	}
	ctx, end := context.WithCancel(ctx)
	m := &Mirror{
		client:  c,
		end:     end,
		ended:   make(chan struct{}),
		changed: make(chan struct{}, 1),
		retry:   make(chan struct{}, 1),
		limits:  l,
		shown:   Snapshot{Availability: Connecting, Why: "asking for qvm-remote's service", Stale: true},
		records: recordLog{max: l.news},
	}
	go m.run(ctx)
	return m, nil
}

// Changed has a value when there is something new for Snapshot or TakeNews
// since it was last received from. It is closed when the mirror ends; what the
// mirror knew can still be read.
func (m *Mirror) Changed() <-chan struct{} { return m.changed }

// Snapshot is what is known now. Its AuditHead counts all that was told as news,
// of which the service tells sooner than of that property: who takes the news
// first, and begins at the head, misses none.
func (m *Mirror) Snapshot() Snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.shown
	s.Manager.Features = slices.Clone(s.Manager.Features)
	s.Manager.Health = slices.Clone(s.Manager.Health)
	s.Manager.AuditHead = max(s.Manager.AuditHead, m.records.next)
	s.Qubes = sorted(m.qubes)
	if !s.Stale {
		s.Requests = inOrder(m.requests)
	}
	return s
}

// TakeNews returns the news that nobody took yet, the oldest first.
func (m *Mirror) TakeNews() []News {
	m.mu.Lock()
	defer m.mu.Unlock()
	news := m.records.queue
	m.records.queue = nil
	return news
}

// Retry lets a mirror that is not available ask for the service at once, as
// after "Try again".
func (m *Mirror) Retry() {
	select {
	case m.retry <- struct{}{}:
	default:
	}
}

// Close ends the mirror and waits until it has. The client goes on.
func (m *Mirror) Close() {
	m.end()
	<-m.ended
}

// publish changes what consumers see, and tells them.
func (m *Mirror) publish(change func()) {
	m.mu.Lock()
	change()
	m.mu.Unlock()
	select {
	case m.changed <- struct{}{}:
	default:
	}
}
