package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/run"
)

// What Command.State says.
const (
	CommandWaiting    = "waiting"    // claimed; its script is read, or it waits for its turn
	CommandAsking     = "approval"   // claimed; it waits for somebody in dom0 to approve it
	CommandRunning    = "running"    // it has its turn
	CommandDelivering = "delivering" // it is over; the qube does not have all of the answer yet
)

// Command is a claimed request whose answer the qube does not have yet.
type Command struct {
	Number    int64     // dom0's own, from 1; no two requests have the same
	Qube, ID  string    // who asked, and the name it gave
	State     string    // waiting, approval, running, delivering
	Since     time.Time // when it was claimed
	StartedAt time.Time // of the shell; zero: it did not start, or an earlier run started it
}

// Commands lists what is claimed and not delivered, by number. It may be called
// by any goroutine between Front.Ready and the end of Front.Closed.
func (x *Executor) Commands() []Command {
	var list []Command
	for _, r := range x.active() {
		c := Command{Number: r.claim.Number, Qube: r.q.name, ID: r.claim.ID, State: r.phase.name(), Since: r.claim.Time}
		if at := r.startedAt.Load(); at != 0 {
			c.StartedAt = time.Unix(0, at)
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b Command) int { return cmp.Compare(a.Number, b.Number) })
	return list
}

// active lists the requests that are claimed and not delivered.
func (x *Executor) active() (list []*request) {
	for _, q := range x.all() {
		q.mu.Lock()
		for _, r := range q.active {
			list = append(list, r)
		}
		q.mu.Unlock()
	}
	return list
}

// ErrNoCommand says that no command of that number waits or runs.
var ErrNoCommand = errors.New("no such command waits or runs")

// CancelNumber ends a claimed request as its qube's own cancel would: all its
// processes are killed, its final state is cancelled, and the qube is told. The
// record names who did it and by which way. It returns when that is recorded;
// the error is [ErrNoCommand] when there is nothing to end, also when the
// command ended by itself at that moment.
func (x *Executor) CancelNumber(ctx context.Context, number int64, who, way string) error {
	all := x.active()
	i := slices.IndexFunc(all, func(r *request) bool { return r.claim.Number == number && r.phase.name() != CommandDelivering })
	if i < 0 {
		return fmt.Errorf("number %d: %w", number, ErrNoCommand)
	}
	r := all[i]
	r.cancel(&cancelledHere{who: who, way: way})
	select {
	case <-r.over:
	case <-ctx.Done():
		return fmt.Errorf("number %d is being ended, but its end is not recorded yet: %w", number, context.Cause(ctx))
	}
	switch r.state {
	case audit.Cancelled:
		return nil
	case "":
		return fmt.Errorf("number %d: its end could not be recorded; the daemon does so at its next start", number)
	default:
		return fmt.Errorf("number %d ended at that moment, state %s: %w", number, r.state, ErrNoCommand)
	}
}

// cancelledHere is the cause with which a request ends that was cancelled in
// dom0, not by its qube.
type cancelledHere struct{ who, way string }

func (*cancelledHere) Error() string { return "cancelled in dom0" }
func (*cancelledHere) Unwrap() error { return run.ErrCancelled }

// phase is how far a claimed request is.
type phase struct{ n atomic.Int32 }

var phases = []string{CommandWaiting, CommandRunning, CommandDelivering, CommandAsking}

func (p *phase) name() string { return phases[p.n.Load()] }

// enter notes how far the request is by now.
func (r *request) enter(state string) {
	r.phase.n.Store(int32(slices.Index(phases, state)))
	r.q.x.status.touch()
}
