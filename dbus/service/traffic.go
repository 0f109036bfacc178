package service

import (
	"context"
	"sync"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// Bounds of calls that were taken and not answered yet. A client that needs
// more waits for answers; one that does not is refused and holds up nobody.
const (
	maxCalls      = 2048
	maxCallsOfOne = 64
	maxShort      = 256 // being worked on; others wait for their turn
	maxLong       = 256 // those that may take minutes; they have no turn to wait for
	maxReading    = 4   // those that hold much of the audit log until it is sent; others wait for their turn
	maxScanning   = 4   // those that go through all of it
)

// traffic counts the calls that came in and were not answered yet.
type traffic struct {
	mu      sync.Mutex
	open    int            // received, answer not sent
	of      map[string]int // being answered, by sender
	working int
	last    time.Time // when anything was asked or answered

	short, long, reading, scanning chan struct{} // what is being worked on
}

func newTraffic() *traffic {
	return &traffic{of: map[string]int{}, last: time.Now(), short: make(chan struct{}, maxShort), long: make(chan struct{}, maxLong), reading: make(chan struct{}, maxReading), scanning: make(chan struct{}, maxScanning)}
}

// counted reports whether a message is a call that reaches target.Call; those
// to the Peer interface are godbus's own.
func counted(msg *godbus.Message) bool {
	iface, _ := msg.Headers[godbus.FieldInterface].Value().(string)
	return msg.Type == godbus.TypeMethodCall && iface != dbus.Peer
}

// incoming sees every message before godbus handles it, in the order in which
// they came: a call counts from here on. It reports whether the message is a
// call whose descriptors target.Call will close.
func (s *Service) incoming(msg *godbus.Message) bool {
	if !counted(msg) {
		return false
	}
	s.traffic.mu.Lock()
	defer s.traffic.mu.Unlock()
	s.traffic.open++
	s.traffic.last = time.Now()
	return true
}

func (t *traffic) done(*godbus.Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open--
	t.last = time.Now()
}

// admit takes a call in. A client of whom nothing is being answered is let in
// however many others there are: the bus bounds their number.
func (t *traffic) admit(sender string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[sender] >= maxCallsOfOne || t.working >= maxCalls && t.of[sender] > 0 {
		return fail(dbus.LimitsExceeded, "too many calls at once; wait for answers (%d of one client, %d in all)", maxCallsOfOne, maxCalls)
	}
	t.of[sender]++
	t.working++
	return nil
}

func (t *traffic) leave(sender string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of[sender]--; t.of[sender] <= 0 {
		delete(t.of, sender)
	}
	t.working--
}

// turn waits until a call may be worked on, unless it may take so long that
// others should not wait for it. Calls that hang leave room for those that do
// not, and root's need no room.
func (t *traffic) turn(ctx context.Context, m *method, uid uint32) (over func(), err error) {
	switch {
	case m.reads:
		return wait(ctx, t.reading)
	case uid == 0:
		return func() {}, nil
	case m.scans:
		return take(t.scanning)
	case m.long:
		return take(t.long)
	}
	return wait(ctx, t.short)
}

// take has a place at once or not at all.
func take(places chan struct{}) (over func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	default:
		return nil, fail(dbus.LimitsExceeded, "%d such calls are being worked on already; wait for one of them to end", cap(places))
	}
}

// wait has a place when there is one.
func wait(ctx context.Context, places chan struct{}) (over func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// idle is for how long nothing was asked; 0 while an answer is owed.
func (t *traffic) idle() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open > 0 {
		return 0
	}
	return time.Since(t.last)
}

// settlePolling is between looks whether the last answer has left.
const settlePolling = 5 * time.Millisecond

// settle returns when no answer is owed any more, or after limit.
func (t *traffic) settle(limit time.Duration) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(settlePolling) {
		t.mu.Lock()
		open := t.open
		t.mu.Unlock()
		if open == 0 {
			return
		}
	}
}
