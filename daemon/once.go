package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"qvmremote/daemon/transport"
)

// once takes one look at each qube and sees through what it brought.
func (x *Executor) once(ctx context.Context) error {
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for _, name := range x.names() {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := x.lookOnce(ctx, x.qubeOf(name)); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s: %w", name, err))
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (x *Executor) lookOnce(ctx context.Context, q *qube) error {
	state, err := x.power(ctx, q.name, 0)
	if err != nil {
		return err
	}
	if state != running {
		return fmt.Errorf("is not running (%s)", state)
	}
	conn, err := x.dial(ctx, q)
	if err != nil {
		return err
	}
	q.uuid.Store(x.uuid(ctx, q.name))
	held, _ := q.holding()
	q.admit(conn, held)
	err = x.seeThrough(ctx, q, conn)
	if ctx.Err() != nil {
		context.AfterFunc(x.lasting, conn.Close) // the last results go over it
		return err
	}
	q.setConn(nil)
	conn.Close()
	return err
}

// maxRounds is how often a qube that is polled is looked at for --once: each
// look brings a few requests.
const maxRounds = 100

// seeThrough deals with what one look at the qube brings until all of it is
// delivered; by single calls, with what as many looks bring as it takes.
func (x *Executor) seeThrough(ctx context.Context, q *qube, conn transport.Conn) error {
	last := int64(-1)
	for range maxRounds {
		look := q.looks.Add(1)
		names, err := conn.Wait(ctx, 0, 0)
		if err != nil {
			return err
		}
		if names.Number == last {
			return nil // nothing came since
		}
		last = names.Number
		_, err = q.look(ctx, conn, names, look)
		if err == nil {
			err = x.drain(ctx, q, conn)
		}
		if err != nil || conn.Live() {
			return err
		}
	}
	return nil
}

// drain waits until all that was claimed is delivered. A qube that takes no
// result is given up for this time after MaxRetry: its results are kept, the
// next run delivers them.
func (x *Executor) drain(ctx context.Context, q *qube, conn transport.Conn) error {
	patience := time.NewTimer(x.o.Times.MaxRetry)
	defer patience.Stop()
	if !conn.Live() { // words, and version-1 scripts, come with looks
		looking, stop := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for looking.Err() == nil {
				if _, err := conn.Wait(looking, 0, 0); err != nil {
					return
				}
			}
		}()
		defer func() { stop(); <-done }()
	}
	for q.open() > 0 {
		select {
		case <-conn.Done():
			return conn.Err()
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-q.settled:
			patience.Reset(x.o.Times.MaxRetry)
		case <-patience.C:
			if x.book.Pending(q.name) == 0 {
				return fmt.Errorf("did not take %d results; they are kept for the next look", q.open())
			}
			patience.Reset(x.o.Times.MaxRetry)
		}
	}
	return nil
}
