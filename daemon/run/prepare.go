package run

import (
	"sync"
	"time"
)

// Prepared is a supervisor that waits for its command: starting it takes longer
// than starting the shell, and can be done while the claim is written. It must
// be given to a Run or discarded. The zero value and nil hold none.
type Prepared struct {
	mu  sync.Mutex
	job *job
}

// Prepare starts a supervisor for a command without standard input. The
// command that takes it must have the same qube, id and timeout. An error is
// no reason not to call Run, which then starts its own.
func (r *Runner) Prepare(qube, id string, timeout time.Duration) (*Prepared, error) {
	j, err := r.newJob(Command{Qube: qube, ID: id, Timeout: timeout})
	if err != nil {
		return nil, err
	}
	return &Prepared{job: j}, nil
}

// take gives the supervisor away if it was made for such a command.
func (p *Prepared) take(c Command) *job {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	j := p.job
	if j == nil || c.Stdin != "" || c.Qube != j.c.Qube || c.ID != j.c.ID || c.Timeout != j.c.Timeout {
		return nil
	}
	p.job = nil
	return j
}

// Discard ends a supervisor that no command took. It may be called in any case
// and any number of times, and waits for its end at most as long as a Run.
func (p *Prepared) Discard() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	j := p.job
	p.job = nil
	p.mu.Unlock()
	if j == nil {
		return nil
	}
	j.take(j.c)
	j.finish() // closes the supervisor's socket before it was told to go
	return j.outcome.Err
}
