// Package poll reaches the queue of a qube that has not our agent: with one
// call of a constant shell text a look, and one a delivery. It guarantees:
//
//   - What a qube says counts only if a call's answer is whole: from the magic
//     line to an end mark with the right count, in bounded bytes and time.
//   - Nothing but the text is in a command; what dom0 has to say goes over
//     stdin, in words of which none can be another.
//   - A change that a qube did not acknowledge is repeated until it does, or
//     the way ends.
//   - The qube is called only while its power state allows it.
//
// A look brings scripts along, of which not a byte is decoded before their
// header was claimed ([conn.Copy] is called for claimed requests only).
package poll

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// Times are the waits of polling; tests shorten them.
type Times struct {
	Fast   time.Duration // from look to look while something happens
	Slow   time.Duration // the same while something is open, or was of late
	Rest   time.Duration // the same after Idle without anything
	Apart  time.Duration // from look to look of any two qubes
	Recent time.Duration // how long Fast lasts after something happened
	Idle   time.Duration
	Call   time.Duration // for a look; real qvm-run may hold the first data back for 10 s
	Bulk   time.Duration // for a call that carries output, or a large part
	Skip   time.Duration // a refused id that the qube could not remove is not brought again
	Again  time.Duration // after a look that failed
	Power  time.Duration // age of the power state on which a qube is called
}

// DefaultTimes are those of docs/protocol.md §7. Rest leaves room, in two calls
// a minute, for a look after the agent now and then.
func DefaultTimes() Times {
	return Times{
		Fast: 150 * time.Millisecond, Slow: 5 * time.Second, Rest: 32 * time.Second,
		Apart: 100 * time.Millisecond, Recent: 30 * time.Second, Idle: 10 * time.Minute,
		Call: 25 * time.Second, Bulk: 10 * time.Minute, Skip: time.Minute, Again: time.Second, Power: 2 * time.Second,
	}
}

// maxFailures is how many looks in a row may fail before the way is at its end.
const maxFailures = 3

// Dialer opens ways to qubes.
type Dialer struct {
	Caller  transport.Caller
	Account string // in the qube; a valid one (queue.ValidAccount)
	Times   Times
	Share   *Share // nil with AtOnce, which makes no look
	// Running says why the qube must not be called now, nil if it may. The way
	// ends where that is ErrNotRunning; another error is a call that failed.
	Running func(ctx context.Context, qube string) error
	// Legacy reports whether version 1 is allowed for the qube; a look asks.
	Legacy func(qube string) bool
	// Active is when something last happened with the qube, for the pace; zero is
	// now.
	Active time.Time
	// AtOnce makes each change a call of its own, for who does not wait for
	// names.
	AtOnce bool
}

// Dial looks at a qube once. The context bounds the dialling only.
func (d Dialer) Dial(ctx context.Context, qube string) (transport.Conn, error) {
	if !queue.ValidQube(qube) || !queue.ValidAccount(d.Account) {
		return nil, fmt.Errorf("cannot call qube %q as %q: not a valid name", qube, d.Account)
	}
	life, end := context.WithCancelCause(context.Background())
	c := &conn{d: d, qube: qube, life: life, end: end, slots: make(chan struct{}, maxCalls), nudge: make(chan struct{}, 1),
		known: map[string]bool{}, open: map[string]bool{}, skip: map[string]time.Time{}, active: d.Active}
	if c.active.IsZero() {
		c.active = time.Now()
	}
	var err error
	if d.AtOnce {
		_, err = c.List(ctx)
	} else {
		err = c.look(ctx)
	}
	if err != nil {
		c.fail(err)
		return nil, err
	}
	return c, nil
}

// Reach opens a way to a qube: to the agent by stream, and by single calls where
// there is none. With no stream it polls. why says why it does, nil where the
// agent answered.
func (d Dialer) Reach(ctx context.Context, stream *transport.Stream, qube string) (conn transport.Conn, why, err error) {
	why = errors.New("QVM_REMOTE_TRANSPORT=poll")
	if stream != nil {
		conn, why = stream.Dial(ctx, qube)
		if !errors.Is(why, transport.ErrNoAgent) {
			return conn, nil, why
		}
	}
	conn, err = d.Dial(ctx, qube)
	if err != nil {
		return nil, nil, fmt.Errorf("%w; nor by single calls: %w", why, err)
	}
	return conn, why, nil
}

// conn is a [transport.Conn] of single calls.
type conn struct {
	d     Dialer
	qube  string
	life  context.Context // ends with the way; its cause says why
	end   context.CancelCauseFunc
	slots chan struct{} // calls at once
	calls sync.WaitGroup
	nudge chan struct{} // has a value when there is something to carry

	mu       sync.Mutex
	number   int64           // of names; see queue.Names
	told     int64           // the number that a look made and Wait has not returned yet, 0 for none
	found    found           // by the last look
	known    map[string]bool // ids whose parts are being read: they are not brought again
	open     map[string]bool // ids whose words were brought, and no end yet
	skip     map[string]time.Time
	changes  []*change     // to be carried by the next look
	carrying []*change     // by the look that is under way
	landed   chan struct{} // closed when that is over
	active   time.Time     // when something last happened
	looked   time.Time     // when the last look began
	failures int
}

var errClosed = errors.New("connection closed")

func (c *conn) Done() <-chan struct{} { return c.life.Done() }

func (c *conn) Err() error {
	if c.life.Err() == nil {
		return nil
	}
	return context.Cause(c.life)
}

func (c *conn) fail(err error) { c.end(err) }

// Close waits for the calls that are under way, which end at once.
func (c *conn) Close() {
	c.mu.Lock() // none begins after that
	c.fail(errClosed)
	c.mu.Unlock()
	c.calls.Wait()
}

// Active is when something last happened: see [Dialer.Active].
func (c *conn) Active() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.active
}

func (c *conn) Live() bool { return false }

func (c *conn) Write(context.Context, string, queue.Stream, int64, []byte) error {
	return errors.New("a qube without our agent takes output at the end only")
}

// Wait looks at the qube at the pace of [Times] until there are other names.
func (c *conn) Wait(ctx context.Context, seen int64, max time.Duration) (queue.Names, error) {
	until := time.Now().Add(max)
	for looked := false; ; {
		names, fresh := c.names()
		if fresh && names.Number != seen || looked && !time.Now().Before(until) {
			return names, nil
		}
		if err := c.rest(ctx, until, looked); err != nil {
			return queue.Names{}, err
		}
		if looked && !time.Now().Before(until) {
			continue
		}
		err := c.look(ctx)
		switch {
		case ctx.Err() != nil:
			return queue.Names{}, context.Cause(ctx)
		case c.Err() != nil:
			return queue.Names{}, c.Err()
		}
		if looked = err == nil; looked {
			c.failures = 0
			continue
		}
		if c.failures++; c.failures == maxFailures || errors.Is(err, ErrNotRunning) {
			c.fail(err)
			return queue.Names{}, err
		}
	}
}

// ErrNotRunning says that the qube must not be called any more.
var ErrNotRunning = errors.New("the qube is not running")

// names are those of the last look; fresh is set the first time.
func (c *conn) names() (n queue.Names, fresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fresh, c.told = c.told != 0, 0
	n.Number = c.number
	for _, r := range c.found.requests {
		if !c.hidden(r.id) {
			n.IDs = append(n.IDs, r.id)
		}
	}
	for _, r := range c.found.cancels {
		if !c.hidden(cancelOf(r.id)) {
			n.Cancels = append(n.Cancels, r.id)
		}
	}
	return n, fresh
}

// hidden: dom0 has it, or has refused it; c.mu is held.
func (c *conn) hidden(id string) bool {
	if c.known[id] {
		return true
	}
	_, refused := c.skip[id]
	if refused {
		return true
	}
	for _, list := range [][]*change{c.changes, c.carrying} {
		for _, ch := range list {
			if ch.hides == id {
				return true
			}
		}
	}
	return false
}

// cancelOf is the name of a cancel among ids; no id has a slash.
func cancelOf(id string) string { return string(queue.FolderCancel) + "/" + id }

// rest waits until the next look is due, at most until a moment. The first look
// of a Wait is not put off for that.
func (c *conn) rest(ctx context.Context, until time.Time, looked bool) error {
	for {
		c.mu.Lock()
		pause := c.pace(time.Now())
		if c.failures > 0 {
			pause = max(pause, c.d.Times.Again)
		}
		due := c.looked.Add(pause)
		c.mu.Unlock()
		if looked && due.After(until) {
			due = until
		}
		timer := time.NewTimer(time.Until(due))
		select {
		case <-timer.C:
			return nil
		case <-c.nudge: // look again how long
			timer.Stop()
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-c.life.Done():
			timer.Stop()
			return c.Err()
		}
	}
}

// pace is how long after the begin of a look the next one is due; c.mu is held.
func (c *conn) pace(now time.Time) time.Duration {
	t, quiet := c.d.Times, now.Sub(c.active)
	switch {
	case quiet < t.Recent:
		return t.Fast
	case quiet < t.Idle || len(c.changes)+len(c.open)+len(c.known)+len(c.found.requests)+len(c.found.cancels) > 0:
		return min(max(quiet/t.share(), t.Fast), t.Slow)
	}
	return t.Rest
}

// share lets the pace fall from Fast to Slow with the time since something
// happened.
func (t Times) share() time.Duration { return max(1, t.Recent/max(1, 5*t.Fast)) }

// stir notes that something happens; c.mu is held.
func (c *conn) stir() {
	c.active = time.Now()
	select {
	case c.nudge <- struct{}{}:
	default:
	}
}
