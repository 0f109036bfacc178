package daemon

import (
	"sync"
	"time"

	"qvmremote/daemon/run"
	"qvmremote/queue"
)

// prepared is a supervisor that is started while the claim is written, for a
// request that will not have to wait for a slot. nil is none.
type prepared struct {
	ready      chan struct{}
	supervisor *run.Prepared
	gone       func() // makes room for the qube's next one
}

// prepare starts a supervisor where that pays: for a script without input, of
// a qube that has nothing running and no other supervisor that waits: how long
// one waits for its script is up to the qube.
func (q *qube) prepare(req queue.Request, d *queue.Denial) *prepared {
	x := q.x
	if d != nil || req.Kind != queue.KindScript || req.Stdin.Present || x.o.DryRun || x.slots.Running(q.name) > 0 || !q.preparing.CompareAndSwap(false, true) {
		return nil
	}
	p := &prepared{ready: make(chan struct{}), gone: sync.OnceFunc(func() { q.preparing.Store(false) })}
	go func() {
		defer close(p.ready)
		// An error is the business of Run, which then starts its own.
		p.supervisor, _ = x.runner.Prepare(q.name, req.ID, time.Duration(req.Timeout)*time.Second)
	}()
	return p
}

// get waits until the supervisor is there.
func (p *prepared) get() *run.Prepared {
	if p == nil {
		return nil
	}
	<-p.ready
	return p.supervisor
}

// discard ends a supervisor that was not used. It must be called in any case.
func (p *prepared) discard(x *Executor) {
	if p == nil {
		return
	}
	defer p.gone()
	if err := p.get().Discard(); err != nil {
		x.warn("cannot end a supervisor that was not used", "error", err)
	}
}
