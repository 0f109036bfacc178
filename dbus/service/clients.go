package service

import (
	"context"
	"sync"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// maxSubscribers bounds what is kept for clients that subscribed. Each costs a
// match rule, as does each call that takes long, and a system bus lets a
// connection have 512.
const maxSubscribers = 256

// clients are the callers that the service must know to have left: those who
// subscribed, and those whose call takes long. The bus is asked to tell of
// these alone, so that others' coming and going wakes nobody here.
type clients struct {
	s  *Service
	mu sync.Mutex
	of map[string]*client // by unique name
	n  int                // that subscribed
}

// client is one connection that is being watched.
type client struct {
	subscribed bool
	matched    bool             // the bus tells of it
	calls      map[*func()]bool // to be called when it leaves
}

func newClients(s *Service) *clients { return &clients{s: s, of: map[string]*client{}} }

func rule(name string) []godbus.MatchOption {
	return []godbus.MatchOption{godbus.WithMatchSender("org.freedesktop.DBus"), godbus.WithMatchInterface("org.freedesktop.DBus"),
		godbus.WithMatchMember("NameOwnerChanged"), godbus.WithMatchArg(0, name)}
}

// watch makes the bus tell when name leaves, if it does not yet. add and, when
// it has left already, left run with what was added.
func (c *clients) watch(ctx context.Context, name string, add func(*client)) error {
	c.mu.Lock()
	w := c.of[name]
	fresh := w == nil
	if fresh {
		w = &client{calls: map[*func()]bool{}}
		c.of[name] = w
	}
	add(w)
	c.drop(name, w)
	kept := c.of[name] == w
	c.mu.Unlock()
	if !fresh || !kept {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.s.o.Times.Bus)
	defer cancel()
	if err := c.s.conn.AddMatchSignalContext(ctx, rule(name)...); err != nil {
		c.unwatched(name, w)
		return err
	}
	c.mu.Lock()
	if w.matched = true; c.of[name] != w { // dropped in the meantime
		c.unmatch(name)
	}
	c.mu.Unlock()
	var there bool
	if err := c.s.bus(ctx, "NameHasOwner", &there, name); err != nil || !there {
		c.left(name)
	}
	return nil
}

// drop ends the watching of a name for which nothing is kept any more. The
// lock is held.
func (c *clients) drop(name string, w *client) {
	if w.subscribed || len(w.calls) > 0 || c.of[name] != w {
		return
	}
	delete(c.of, name)
	if w.matched {
		c.unmatch(name)
	}
}

func (c *clients) unmatch(name string) {
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), c.s.o.Times.Bus)
		defer cancel()
		_ = c.s.conn.RemoveMatchSignalContext(ctx, rule(name)...) // the bus is gone otherwise
	}()
}

// unwatched forgets what the bus would not watch. A call goes on to its end,
// though its caller may leave.
func (c *clients) unwatched(name string, w *client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w.subscribed {
		w.subscribed = false
		c.n--
	}
	clear(w.calls)
	c.drop(name, w)
}

// left forgets a name that is not on the bus any more.
func (c *clients) left(name string) {
	c.mu.Lock()
	w := c.of[name]
	if w == nil {
		c.mu.Unlock()
		return
	}
	if w.subscribed {
		w.subscribed = false
		c.n--
	}
	calls := w.calls
	w.calls = map[*func()]bool{}
	c.drop(name, w)
	c.mu.Unlock()
	for f := range calls {
		(*f)()
	}
}

// cancelWith calls cancel if name leaves the bus before the function that is
// returned was called. Short calls cost the bus nothing.
func (c *clients) cancelWith(name string, cancel func()) (stop func()) {
	key := &cancel
	over := false // guarded by c.mu
	timer := time.AfterFunc(c.s.o.Times.Notice, func() {
		_ = c.watch(c.s.life, name, func(w *client) {
			if !over {
				w.calls[key] = true
			}
		})
	})
	return func() {
		timer.Stop()
		c.mu.Lock()
		defer c.mu.Unlock()
		over = true
		if w := c.of[name]; w != nil {
			delete(w.calls, key)
			c.drop(name, w)
		}
	}
}

// subscribe keeps the service for name until it leaves.
func (c *clients) subscribe(ctx context.Context, name string) error {
	full := false
	err := c.watch(ctx, name, func(w *client) {
		if full = !w.subscribed && c.n >= maxSubscribers; !full && !w.subscribed {
			w.subscribed = true
			c.n++
		}
	})
	if full {
		return errTooManySubscribers
	}
	return err
}

func (c *clients) unsubscribe(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.of[name]; w != nil && w.subscribed {
		w.subscribed = false
		c.n--
		c.drop(name, w)
	}
}

// subscribed reports whether anybody is.
func (c *clients) subscribed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n > 0
}
