package daemon

import (
	"context"
	"errors"
	"time"

	"qvmremote/daemon/audit"
)

// pulse feeds the service manager's watchdog. It belongs to the loop of follow:
// that loop sends a beat after a probe of the parts that all requests need came
// back. A probe needs nothing that load could keep away (no slot, no request's
// turn, no free disk), so a busy daemon lives. One whose loop, locks, status or
// audit log is stuck for more than half of the watchdog's time is killed and
// started again, which is safe at any moment; that time should be minutes, for
// a slow disk is not mended by it.
type pulse struct {
	x    *Executor
	tick <-chan time.Time // never, where nobody watches
	back chan struct{}    // a probe came back
	out  bool             // one is under way
	stop func()
}

func (x *Executor) newPulse() *pulse {
	p := &pulse{x: x, back: make(chan struct{}, 1), stop: func() {}}
	if x.manager.watchdog > 0 {
		t := time.NewTicker(max(x.manager.watchdog/2, time.Millisecond))
		p.tick, p.stop = t.C, t.Stop
	}
	return p
}

// probe asks the parts, unless they still have to answer.
func (p *pulse) probe(ctx context.Context) {
	if p.out {
		return
	}
	p.out = true
	go func() {
		if p.x.answers(ctx) {
			p.back <- struct{}{}
		}
	}()
}

// beat says that all is alive.
func (p *pulse) beat() {
	p.out = false
	p.x.notify("WATCHDOG=1")
}

// answers waits until each part has answered; it is false only when ctx ended.
func (x *Executor) answers(ctx context.Context) bool {
	x.Snapshot() // takes the locks of the executor, each qube, the log's findings
	x.paused()   // and of the brake
	select {
	case x.status.probe <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	// The log answers also when it says no: a restart would not mend a full
	// disk. Only one that gives no answer in time is asked again.
	for ctx.Err() == nil {
		_, err := x.log.Update(ctx, func(*audit.Tx) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			return ctx.Err() == nil
		}
	}
	return false
}
