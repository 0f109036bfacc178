package gate

import (
	"context"
	"fmt"
	"strings"
)

// maxName is D-Bus's own limit for a name.
const maxName = 255

// Identify asks the bus which user is behind a unique name; it waits 5 s at
// most. An answer is remembered, which is safe for as long as the connection
// lasts: a name's user never changes, and the bus never gives the name away
// again. Failures are not remembered. Who calls a hundred times at once is asked
// about once: the bus lets nobody, us included, wait for many answers.
func (g *Gate) Identify(ctx context.Context, sender string) (uid uint32, err error) {
	// A name that its owner can pass on says nothing about who calls.
	if !strings.HasPrefix(sender, ":") || len(sender) > maxName {
		return 0, fmt.Errorf("%.300q is not the unique name of a connection", sender)
	}
	a, uid, known := g.askOnce(sender)
	if known {
		return uid, nil
	}
	select {
	case <-a.done:
		return a.uid, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("ask the bus for the user of %s: %w", sender, context.Cause(ctx))
	}
}

// asked is a question to the bus. What is in it may be read once done is closed.
type asked struct {
	done chan struct{}
	uid  uint32
	err  error
}

// askOnce joins the question about a name that is under way, or begins one.
func (g *Gate) askOnce(sender string) (a *asked, uid uint32, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if uid, known = g.uids[sender]; known {
		return nil, uid, true
	}
	if a = g.naming[sender]; a != nil {
		return a, 0, false
	}
	a = &asked{done: make(chan struct{})}
	g.naming[sender] = a
	// Others may join: the question outlives the one who asked first. Its own
	// deadline ends it.
	go func() {
		a.uid, a.err = g.askBus(sender)
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.naming, sender)
		if a.err == nil {
			g.remember(sender, a.uid)
		}
		close(a.done)
	}()
	return a, 0, false
}

func (g *Gate) askBus(sender string) (uid uint32, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), g.limits.identify)
	defer cancel()
	call := g.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixUser", 0, sender)
	if call.Err != nil {
		return 0, fmt.Errorf("ask the bus for the user of %s: %w", sender, call.Err)
	}
	if len(call.Body) == 1 {
		if uid, ok := call.Body[0].(uint32); ok {
			return uid, nil
		}
	}
	return 0, fmt.Errorf("ask the bus for the user of %s: its answer is no uid", sender)
}

// remember forgets everybody when it is full: asking again is cheap. g.mu is held.
func (g *Gate) remember(sender string, uid uint32) {
	if len(g.uids) >= g.limits.callers {
		clear(g.uids)
	}
	g.uids[sender] = uid
}
