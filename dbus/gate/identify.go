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
// again. Failures are not remembered.
func (g *Gate) Identify(ctx context.Context, sender string) (uid uint32, err error) {
	// A name that its owner can pass on says nothing about who calls.
	if !strings.HasPrefix(sender, ":") || len(sender) > maxName {
		return 0, fmt.Errorf("%.300q is not the unique name of a connection", sender)
	}
	if uid, ok := g.remembered(sender); ok {
		return uid, nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.limits.identify)
	defer cancel()
	call := g.conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetConnectionUnixUser", 0, sender)
	if call.Err != nil {
		return 0, fmt.Errorf("ask the bus for the user of %s: %w", sender, call.Err)
	}
	if len(call.Body) == 1 {
		if uid, ok := call.Body[0].(uint32); ok {
			g.remember(sender, uid)
			return uid, nil
		}
	}
	return 0, fmt.Errorf("ask the bus for the user of %s: its answer is no uid", sender)
}

func (g *Gate) remembered(sender string) (uid uint32, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	uid, ok = g.uids[sender]
	return uid, ok
}

// remember forgets everybody when it is full: asking again is cheap.
func (g *Gate) remember(sender string, uid uint32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.uids) >= g.limits.callers {
		clear(g.uids)
	}
	g.uids[sender] = uid
}
