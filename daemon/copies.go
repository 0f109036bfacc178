package daemon

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"qvmremote/daemon/audit"
)

const (
	maxCopies = 1024            // records on their way to the copies
	copyWait  = 2 * time.Second // for those still on their way when the daemon ends
)

// copies brings records to the log's copies for people. Nothing waits for it:
// a copy that is slow, or stuck for ever, holds up neither a command nor the
// daemon's end. What it cannot take is dropped, and told.
type copies struct {
	write func(audit.Record) error
	told  func(error) // of each copy, nil where it worked; and of the first drop
	ended chan struct{}

	mu      sync.Mutex
	records chan audit.Record
	closed  bool
	dropped int
}

func newCopies(write func(audit.Record) error, told func(error)) *copies {
	c := &copies{write: write, told: told, ended: make(chan struct{}), records: make(chan audit.Record, maxCopies)}
	go c.run()
	return c
}

var errBehind = errors.New("it does not keep up; records are missing from it, the audit log has them all")

// add takes a record, also after close: who still records then is not waited for.
func (c *copies) add(r audit.Record) {
	c.mu.Lock()
	first := false
	if !c.closed {
		select {
		case c.records <- r:
		default:
			c.dropped++
			first = c.dropped == 1
		}
	}
	c.mu.Unlock()
	if first {
		c.told(errBehind)
	}
}

func (c *copies) run() {
	defer close(c.ended)
	for r := range c.records {
		err := c.write(r)
		c.mu.Lock()
		if c.dropped > 0 {
			err = errors.Join(err, fmt.Errorf("it did not keep up: %d records are missing from it, the audit log has them all", c.dropped))
			c.dropped = 0
		}
		c.mu.Unlock()
		c.told(err)
	}
}

// close waits for a moment until what was taken is copied.
func (c *copies) close() {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.records)
	}
	c.mu.Unlock()
	timer := time.NewTimer(copyWait)
	defer timer.Stop()
	select {
	case <-c.ended:
	case <-timer.C:
	}
}
