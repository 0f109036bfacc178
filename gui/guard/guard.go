// Package guard decides whether a press may decide about what is on the screen.
//
// It guarantees that nothing is decided by accident: a press counts only once the
// window has had the focus, and the same request has been shown, for [Pause]
// without a break; a key must have gone down after that, and counts when it is let
// go; and one press decides, whatever comes after it.
//
// It belongs to one goroutine, and looks at the time but never waits.
package guard

import "time"

// Pause is how long a person must have been able to see what a press decides.
const Pause = time.Second

// Guard is the guard of one place where requests are shown, one at a time.
type Guard struct {
	now     func() time.Time
	number  uint64
	shown   time.Time // zero while nothing is
	focused time.Time // zero while the window has no focus
	held    time.Time // since when a key is down that presses, zero while none is
	waiting func()    // what that key decides when it is let go
	used    bool
}

// New makes a guard that goes by that clock.
func New(now func() time.Time) *Guard { return &Guard{now: now} }

// Show says that a request is to be seen now, in place of any other. The same one
// again changes nothing.
func (g *Guard) Show(number uint64) {
	if g.number == number && !g.shown.IsZero() {
		return
	}
	g.number, g.shown, g.used, g.waiting = number, g.now(), false, nil
}

// Hide says that no request is to be seen.
func (g *Guard) Hide() { g.shown, g.waiting = time.Time{}, nil }

// Again lets one be decided about, from a pause on, whose decision has failed.
func (g *Guard) Again() {
	g.used, g.waiting = false, nil
	if !g.shown.IsZero() {
		g.shown = g.now()
	}
}

// Focus says whether the window has the focus.
func (g *Guard) Focus(has bool) {
	switch {
	case !has:
		// Where the key is let go nobody here will learn.
		g.focused, g.held, g.waiting = time.Time{}, time.Time{}, nil
	case g.focused.IsZero():
		g.focused = g.now()
	}
}

// opens is from when on a press counts; false while nothing leads there.
func (g *Guard) opens() (time.Time, bool) {
	if g.shown.IsZero() || g.focused.IsZero() {
		return time.Time{}, false
	}
	from := g.shown
	if g.focused.After(from) {
		from = g.focused
	}
	return from.Add(Pause), true
}

// Left is how long it takes until a press counts; 0 where one does, or none will
// before something else happens.
func (g *Guard) Left() time.Duration {
	at, ok := g.opens()
	if !ok || g.used || g.waiting != nil {
		return 0
	}
	return max(at.Sub(g.now()), 0)
}

// Ready reports whether a press counts now.
func (g *Guard) Ready() bool { return g.waiting == nil && g.open() }

func (g *Guard) open() bool {
	at, ok := g.opens()
	return ok && !g.used && !g.now().Before(at)
}

// KeyDown says that a key goes down that presses what has the focus. Again while
// it is held, as a keyboard repeats it, it changes nothing.
func (g *Guard) KeyDown() {
	if g.held.IsZero() {
		g.held = g.now()
	}
}

// KeyUp says that it is let go.
func (g *Guard) KeyUp() {
	act := g.waiting
	g.held, g.waiting = time.Time{}, nil
	if act != nil {
		g.take(act)
	}
}

// Press is a press that would decide: act is done if it counts, now or when the
// key is let go, and never twice.
func (g *Guard) Press(act func()) {
	at, _ := g.opens()
	switch {
	case !g.Ready():
	case g.held.IsZero():
		g.take(act)
	case !g.held.Before(at):
		g.waiting = act
	}
}

func (g *Guard) take(act func()) {
	if !g.open() {
		return
	}
	g.used = true
	act()
}
