package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"qvmremote/daemon/burn"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// qube is dom0's side of one configured qube: it drives the transport and
// keeps what is under way. One goroutine runs its loop.
type qube struct {
	x       *Executor
	name    string
	alone   sync.Mutex    // held by the one loop there may be
	kick    chan struct{} // something changed: try again now
	settled chan struct{} // has a value after a request left active
	looks   atomic.Int64  // questions for names asked so far
	uuid    atomic.Value  // string: the qube's, asked for at each connection; a qube is not re-created under one
	refused refusals
	rate    rate

	preparing atomic.Bool // a supervisor was started for a request that did not end yet

	told told // what the qube does not take

	dials int  // the loop's own: connections tried so far
	avoid bool // the loop's own: qrexec-client did not work the last time
	way   way  // the loop's own: how the connection was made

	stirred time.Time // the loop's own: when something last happened, where polling goes on at its pace

	left    bool // the loop's own: names may have been left in the qube because nothing new was taken
	unsure  bool // the loop's own: a name of the last answer may be on its way out, so it is asked for once more
	reading bool // the loop's own: a name of the last answer belongs to a request that is still being read
	idle    int  // the loop's own: names that this look asked about for nothing

	bare     bare          // scripts without a token
	settling chan struct{} // has room for one version-1 script that is being read

	mu       sync.Mutex
	used     map[string]*burn.List  // version-1 ids used up, by the key's fingerprint
	conn     transport.Conn         // nil while there is none to the qube that was authorised
	changed  chan struct{}          // closed, and replaced, when conn changes
	active   map[string]*request    // by id: claimed, and not delivered yet
	answered map[string]int64       // ids delivered lately, with the look that was the latest then
	skip     map[string]time.Time   // ids refused lately, until when they are not looked at
	burnt    map[queue.Digest]int64 // headers refused with a good MAC but without a claim: when they were issued
	ashes    int64                  // nothing issued before this moment is taken, for burnt was full
	state    string                 // for people: what the qube is, or why it is not connected
	since    time.Time              // of state and transport
	// transport is how it is reached while it is connected, as QVM_REMOTE_TRANSPORT
	// has it; else "".
	transport string
}

func newQube(x *Executor, name string) *qube {
	return &qube{
		x: x, name: name, kick: make(chan struct{}, 1), settled: make(chan struct{}, 1), changed: make(chan struct{}),
		active: map[string]*request{}, answered: map[string]int64{}, skip: map[string]time.Time{}, burnt: map[queue.Digest]int64{}, used: map[string]*burn.List{}, settling: make(chan struct{}, 1),
		state: StateNew, since: x.now(),
	}
}

// wake makes the loop try again without waiting for its pause to end.
func (q *qube) wake() {
	select {
	case q.kick <- struct{}{}:
	default:
	}
}

// loop connects to the qube whenever it runs, and serves it, until the qube is
// no longer configured or the daemon stops.
func (q *qube) loop(ctx context.Context) {
	q.alone.Lock() // a loop that was told to leave may be about to
	defer q.alone.Unlock()
	t := q.x.o.Times
	pause := t.Backoff
	for ctx.Err() == nil {
		if !q.awaitRunning(ctx) {
			return
		}
		started := time.Now()
		conn, err := q.x.dial(ctx, q)
		switch {
		case err == nil:
			err = q.serveConn(ctx, conn)
			if errors.Is(err, errRenew) {
				continue
			}
			if time.Since(started) > t.MaxPause {
				pause = t.Backoff
			}
			if ctx.Err() != nil { // closed on purpose
				q.note("closed", nil)
				return
			}
			q.note(stateLost, err)
			if !sleep(ctx, t.Quiet, nil) {
				return
			}
		case errors.Is(err, transport.ErrNoAgent):
			q.note(StateNoAgent, err) // nor a shell
		default:
			q.note(stateRefused, err)
		}
		sleep(ctx, pause, q.kick)
		pause = min(2*pause, t.MaxPause)
	}
}

// serveConn serves one connection to its end. When the daemon stops, the
// connection stays open for the last deliveries.
func (q *qube) serveConn(ctx context.Context, conn transport.Conn) error {
	q.uuid.Store(q.x.uuid(ctx, q.name))
	q.forgetSkipped()
	held, _ := q.holding()
	q.admit(conn, held)
	q.note(StateConnected, q.way.polled)
	q.x.info("a qube is reached", "qube", q.name, "by", q.way.program, "polled", q.way.polled != nil)
	asking, stop := q.untilRenewal(ctx)
	err := q.serve(ctx, asking, conn)
	stop()
	q.stirred = time.Time{}
	if polled, ok := conn.(interface{ Active() time.Time }); ok && errors.Is(err, errLong) {
		q.stirred = polled.Active()
	}
	if q.x.accepting.Err() != nil {
		select {
		case <-q.x.lasting.Done():
		case <-conn.Done():
		}
	}
	q.setConn(nil)
	conn.Close()
	return err
}

// errRenew ends a connection by single calls, for there may be an agent now.
var errRenew = errors.New("the qube may have an agent by now")

// errLong is that nothing says so: the qube is polled on at the pace it had.
var errLong = fmt.Errorf("%w: it was polled for long", errRenew)

// untilRenewal ends when a qube that is polled is to be tried for an agent: at
// a kick, or when it was polled for long.
func (q *qube) untilRenewal(ctx context.Context) (context.Context, func()) {
	asking, cancel := context.WithCancelCause(ctx)
	if q.way.polled == nil || q.x.settings().Transport == settings.Poll {
		return asking, func() { cancel(nil) }
	}
	go func() {
		timer := time.NewTimer(q.x.o.Times.NoAgent)
		defer timer.Stop()
		select {
		case <-q.kick:
			if asking.Err() != nil {
				q.wake() // it was for whoever comes next
			}
		case <-timer.C:
			cancel(errLong)
		case <-asking.Done():
		}
		cancel(errRenew)
	}()
	return asking, func() { cancel(nil) }
}

// awaitRunning waits until the qube is in state Running: any other state must
// not be called, since even --no-autostart can restart a qube that halts.
func (q *qube) awaitRunning(ctx context.Context) bool {
	t := q.x.o.Times
	maxAge := time.Duration(0) // a fresh look now and after a kick, else one shared with other qubes
	for {
		state, err := q.x.power(ctx, q.name, maxAge)
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			q.note(stateUnasked, err)
		case state == running:
			return true
		default:
			q.note(state, nil)
		}
		select {
		case <-ctx.Done():
			return false
		case <-q.kick:
			maxAge = 0
		case <-time.After(t.Power):
			maxAge = t.Power / 2
		}
	}
}

const running = "Running"

// currentUUID is the uuid of the qube behind the connection, "" if dom0's tools
// do not tell it.
func (q *qube) currentUUID() string {
	uuid := q.knownUUID()
	if uuid == "" {
		uuid = q.x.uuid(q.x.accepting, q.name)
		q.uuid.Store(uuid)
	}
	return uuid
}

// knownUUID is currentUUID without asking: "" if it is not known by now.
func (q *qube) knownUUID() string {
	uuid, _ := q.uuid.Load().(string)
	return uuid
}

// note keeps, for people, how the connection is.
func (q *qube) note(state string, err error) {
	transport := ""
	if state == StateConnected {
		transport = q.way.transport()
	}
	q.mu.Lock()
	changed := q.state != state || q.transport != transport
	if changed {
		q.state, q.transport, q.since = state, transport, q.x.now()
	}
	q.mu.Unlock()
	if changed {
		q.x.status.touch()
		if err != nil {
			q.x.info("a qube's connection changed", "qube", q.name, "state", state, "error", err)
		} else {
			q.x.info("a qube's connection changed", "qube", q.name, "state", state)
		}
	}
}

// admit makes conn the one that scripts, output and answers go over, unless the
// qube behind it is not the one that was authorised: what ran for a qube that
// was removed is not for another that was given its name.
func (q *qube) admit(conn transport.Conn, held keys.Held) {
	own := held.Meta.UUID == "" || held.Meta.UUID == q.currentUUID()
	q.mu.Lock()
	admitted := q.conn == conn
	q.mu.Unlock()
	switch {
	case own && !admitted:
		q.setConn(conn)
	case !own && admitted:
		q.setConn(nil)
	}
}

func (q *qube) setConn(c transport.Conn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.conn = c
	close(q.changed)
	q.changed = make(chan struct{})
}

// withConn calls fn with a connection to the qube that has the uuid ("" where
// that was never known), waiting for one, and again on the next one if the
// connection ended under it: what was claimed for a qube that is gone is not
// for another that was given its name, also when its key is gone by then. fn
// must be harmless to repeat.
func (q *qube) withConn(ctx context.Context, uuid string, fn func(transport.Conn) error) error {
	for {
		conn, err := q.await(ctx, uuid)
		if err != nil {
			return err
		}
		if err = fn(conn); err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		select {
		case <-conn.Done():
		default:
			return err
		}
	}
}

// await returns a connection that has not ended. While the daemon stops there
// will be no new one.
func (q *qube) await(ctx context.Context, uuid string) (transport.Conn, error) {
	for {
		q.mu.Lock()
		conn, changed := q.conn, q.changed
		q.mu.Unlock()
		if conn != nil && conn.Err() == nil && (uuid == "" || uuid == q.currentUUID()) {
			return conn, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-q.x.accepting.Done():
			return nil, errStopping
		}
	}
}

func (q *qube) request(id string) *request {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.active[id]
}

func (q *qube) remember(r *request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.active[r.claim.ID] = r
}

// answeredNow notes that the qube has the answer of id, and no file of it in
// pending any more: only what a later look finds is a copy.
func (q *qube) answeredNow(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.answered[id] = q.looks.Load()
}

func (q *qube) forgetAnswered(look int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for id, l := range q.answered {
		if l < look && q.active[id] == nil {
			delete(q.answered, id)
		}
	}
}

func (q *qube) drop(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.active, id)
	select {
	case q.settled <- struct{}{}:
	default:
	}
}

// open is how many requests are not delivered.
func (q *qube) open() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.active)
}

// crowded reports whether the qube must take results before dom0 takes more
// from it: also a refusal of what is over MaxPending is kept until it is taken.
func (q *qube) crowded() bool {
	return int64(q.open()) >= 2*q.x.settings().MaxPending
}

// sleep waits for d, or until kick has a value. It reports false when ctx ended.
func sleep(ctx context.Context, d time.Duration, kick <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-kick:
	}
	return true
}
