package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"qvmremote/daemon/qubes"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/transport"
	"qvmremote/daemon/transport/poll"
	"qvmremote/queue"
)

// callers are the programs by which this executor reaches qubes, and what all
// connections share.
type callers struct {
	qvmRun transport.Caller
	budget *transport.Budget
	share  *poll.Share
}

const qrexecClient = "qrexec-client"

// maxLooks is how many looks, and how many other calls, polling makes at once:
// the answer to a look may hold 2 MiB of scripts.
const maxLooks = 4

// manyQubes is how many qubes make the cheaper program the first choice.
const manyQubes = 10

// caller chooses the program for the next connection to q (docs/protocol.md §7).
// single is set for the one by which it is polled: a qvm-run that begins while a
// qube shuts down can start it again, and polling begins one several times a
// second.
func (x *Executor) caller(q *qube, how string, single bool) (transport.Caller, error) {
	qrexec := how == settings.Qrexec || how == settings.Poll || how == settings.Auto && (single || q.dials > 0 || len(x.names()) > manyQubes)
	if !qrexec || q.avoid && how != settings.Qrexec {
		return x.calls.qvmRun, nil
	}
	path, err := qubes.Tool(x.o.Root, qrexecClient)
	switch {
	case err == nil:
		return transport.Caller{Path: path, Qrexec: true}, nil
	case how == settings.Qrexec:
		return transport.Caller{}, fmt.Errorf("cannot reach a qube as QVM_REMOTE_TRANSPORT says: %w", err)
	}
	return x.calls.qvmRun, nil
}

// dial opens a connection to a qube that runs: to the agent, or by polling
// where there is none.
func (x *Executor) dial(ctx context.Context, q *qube) (transport.Conn, error) {
	q.uuid.Store("") // that of the qube which the last connection was to
	set := x.settings()
	long, err := x.caller(q, set.Transport, false)
	if err != nil {
		return nil, err
	}
	single, err := x.caller(q, set.Transport, true)
	if err != nil {
		return nil, err
	}
	conn, err := x.dialBy(ctx, q, long, single, set)
	q.dials++
	failed := long
	if errors.Is(err, transport.ErrNoAgent) {
		failed = single // it was polled then
	}
	// What does not work by one program is tried by the other next.
	q.avoid = err != nil && failed.Qrexec
	return conn, err
}

func (x *Executor) dialBy(ctx context.Context, q *qube, long, single transport.Caller, set settings.Settings) (transport.Conn, error) {
	var stream *transport.Stream
	if set.Transport != settings.Poll {
		stream = &transport.Stream{Caller: long, Account: set.VMUser, Times: x.o.Times.Transport, Budget: x.calls.budget, Now: x.now, Version: queue.Version}
	}
	d := poll.Dialer{Caller: single, Account: set.VMUser, Times: x.o.Times.Poll, Share: x.calls.share, Running: x.mayCall, Legacy: x.legacyOf, Active: q.stirred}
	conn, polled, err := d.Reach(ctx, stream, q.name)
	q.way = way{program: long.Name(), polled: polled}
	if polled != nil {
		q.way.program = single.Name()
	}
	return conn, err
}

// way is how a qube is reached.
type way struct {
	program string
	polled  error // why it is polled, nil where an agent answers
}

// transport is the way's name, as QVM_REMOTE_TRANSPORT has it.
func (w way) transport() string {
	switch {
	case w.polled != nil:
		return settings.Poll
	case w.program == qrexecClient:
		return settings.Qrexec
	}
	return settings.Stream
}

// mayCall says why the qube must not be called now: only one that runs may be,
// for even --no-autostart can restart a qube that halts, and only the one that
// the connection was made to: unlike a stream, single calls go on by themselves
// when another qube was given its name.
func (x *Executor) mayCall(ctx context.Context, name string) error {
	found, err := x.tools.Look(ctx, name, x.o.Times.Poll.Power)
	switch {
	case err != nil:
		return err
	case found.State != running:
		return fmt.Errorf("%w: %s", poll.ErrNotRunning, cmp.Or(string(found.State), "not there"))
	}
	known := x.qubeOf(name).knownUUID()
	if known == "" {
		return nil
	}
	if found.UUID == "" {
		found.UUID = x.uuid(ctx, name) // an older qvm-ls does not tell
	}
	if found.UUID != known {
		return fmt.Errorf("%w: another qube may have its name now", poll.ErrNotRunning)
	}
	return nil
}
