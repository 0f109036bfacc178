package service

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon"
	"qvmremote/dbus"
)

// Executor is the face of a running executor: it holds the bus name while the
// executor lives. The executor works without it, and it comes back when the
// bus does.
//
// It implements daemon.Front.
type Executor struct {
	o Options

	s atomic.Pointer[Service]         // nil while there is no bus
	x atomic.Pointer[daemon.Executor] // nil before Ready

	leave context.CancelFunc // of the loop that looks for the bus
	loop  sync.WaitGroup
}

// NewExecutor makes the face of an executor that is about to start.
func NewExecutor(o Options) *Executor { return &Executor{o: o} }

// ownAtOnce is how an executor takes the name: from a manager, and from an
// executor that has given its lock back and is about to leave, which is why it
// may be taken away again.
const ownAtOnce = godbus.NameFlagReplaceExisting | godbus.NameFlagAllowReplacement | godbus.NameFlagDoNotQueue

// Locked takes the name, from a manager if one has it. Calls wait from now on.
// That there is no bus ends nothing.
func (e *Executor) Locked(ctx context.Context) error {
	if err := e.take(ctx); err != nil {
		e.o.Log.Warn("the executor goes on without the message bus; it looks for it again and again", "error", err)
	}
	return nil
}

// take reaches the bus and takes the name.
func (e *Executor) take(ctx context.Context) error {
	s, err := takeName(ctx, e.o, ownAtOnce)
	if err != nil {
		return err
	}
	s.executes = true
	e.s.Store(s)
	return nil
}

// Ready answers calls from now on.
func (e *Executor) Ready(x *daemon.Executor) {
	ctx, cancel := context.WithCancel(context.Background())
	e.x.Store(x)
	e.leave = cancel
	e.show()
	e.loop.Add(1)
	go e.keep(ctx)
}

// show lets the service, if there is one, answer for the executor.
func (e *Executor) show() {
	if s := e.s.Load(); s != nil {
		x := e.x.Load()
		s.executor.Store(x)
		s.tools = x.Tools() // which follow the qubes; nothing was asked by the service's own yet
		s.watchBoot()
		s.begin()
	}
}

// keep finds the bus again when it was lost or never there, and the name.
func (e *Executor) keep(ctx context.Context) {
	defer e.loop.Done()
	for {
		if s := e.s.Load(); s != nil {
			select {
			case <-ctx.Done():
				return
			case owned := <-s.owner:
				if owned {
					continue
				}
				// By one that does not share the lock.
				e.o.Log.Error("another program took the name on the bus; the executor takes it back", "name", dbus.Name)
			case <-s.conn.Context().Done():
				e.o.Log.Error("the message bus is gone; the executor goes on, and looks for it again and again")
			}
			s.abandon()
		}
		if !e.again(ctx) {
			return
		}
	}
}

// again takes the name as soon as there is a bus. It reports false when ctx
// ended before.
func (e *Executor) again(ctx context.Context) bool {
	e.s.Store(nil)
	for {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(e.o.Times.Retry):
		}
		if err := e.take(ctx); err != nil {
			e.o.Log.Debug("still no message bus", "error", err)
			continue
		}
		e.o.Log.Info("the message bus is there")
		e.show()
		return true
	}
}

// Changed has what the executor tells looked at again.
func (e *Executor) Changed() {
	if s := e.s.Load(); s != nil {
		s.objects.touch()
	}
}

// Stopping shows that at once.
func (e *Executor) Stopping() {
	if s := e.s.Load(); s != nil {
		s.objects.refresh(s.life)
	}
}

// Closed hands the name over to a manager, so that nobody sees it without an
// owner, answers what it was asked, and leaves the bus. From here on it answers
// for an executor that is stopping, until the next owner says that it stopped.
func (e *Executor) Closed(ctx context.Context) {
	if e.leave != nil {
		e.leave()
		e.loop.Wait()
	}
	s := e.s.Swap(nil)
	if s == nil {
		return
	}
	s.executor.Store(nil)
	s.begin() // a start that failed has kept calls waiting
	s.objects.refresh(ctx)
	s.handOver(ctx)
	if err := s.close(ctx); err != nil && !errors.Is(err, context.Canceled) {
		e.o.Log.Warn("cannot leave the message bus in order", "error", err)
	}
}

// handOver starts a manager and waits until it queues for the name. Where
// systemd does not, as when the machine shuts down, the name goes unowned.
func (s *Service) handOver(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, s.o.Times.Handover)
	defer cancel()
	if s.queued(ctx) {
		return
	}
	started := make(chan error, 1)
	go func() { started <- s.admin(self).StartManager(ctx) }()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			s.o.Log.Info("nobody takes the bus name over; the next call starts a manager")
			return
		case err := <-started:
			if err != nil {
				s.o.Log.Info("no manager could be started; the next call tries again", "error", err)
				return
			}
		case <-tick.C:
			if s.queued(ctx) {
				return
			}
		}
	}
}

// queued reports whether another waits for the name.
func (s *Service) queued(ctx context.Context) bool {
	var owners []string
	return s.bus(ctx, "ListQueuedOwners", &owners, dbus.Name) == nil && len(owners) > 1
}
