package daemon

import (
	"context"
	"time"
)

// Front is told of the executor's life, so that it can show the executor to
// others. The executor itself knows nothing of how that is done.
//
// Locked, Ready, Stopping and Closed are called in this order, each at most
// once, by the one goroutine that runs the executor, which waits for them.
type Front interface {
	// Locked is called when the executor's lock is held and nothing was read
	// yet. An error ends the start; nothing else is called then.
	Locked(ctx context.Context) error
	// Ready is called when the log is read, what an earlier run left is
	// settled, and qubes are looked at from now on. From here on until Closed
	// returns, x may be asked, by any goroutine.
	Ready(x *Executor)
	// Stopping is called when no new request is taken any more. Commands may
	// still run, and end. It is not called for a start that failed.
	Stopping()
	// Closed is called when all is done: the log is closed and the executor's
	// lock given back. The process is about to end. It also comes, then often
	// without Ready, when the start failed after Locked. ctx ends after a while
	// of its own, not with that of [Run].
	Closed(ctx context.Context)
	// Changed is called, by any goroutine, after something changed that
	// [Executor.Snapshot] or [Executor.Commands] tells. It must not block and
	// must not call the executor: locks may be held. Not every call means a
	// difference.
	Changed()
}

// closedWait is how long a Front may take for its farewell.
const closedWait = 15 * time.Second

// nobody is the Front of an executor that has none.
type nobody struct{}

func (nobody) Locked(context.Context) error { return nil }
func (nobody) Ready(*Executor)              {}
func (nobody) Stopping()                    {}
func (nobody) Closed(context.Context)       {}
func (nobody) Changed()                     {}

func orNobody(f Front) Front {
	if f == nil {
		return nobody{}
	}
	return f
}

// ready tells that qubes are looked at from now on.
func (x *Executor) ready() {
	x.o.Front.Ready(x)
	x.notify("READY=1")
	x.shown.Store(true)
	x.status.touch()
}

// goodbye is the last thing that a Front hears, if it heard the first.
func (x *Executor) goodbye(ctx context.Context) {
	x.shown.Store(false)
	if !x.locked {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closedWait)
	defer cancel()
	x.o.Front.Closed(ctx)
}
