//go:build gtk

package ui

import (
	"context"

	"github.com/diamondburned/gotk4/pkg/core/glib"
)

// Scope is how long something on the screen lives: a page, a dialog, one look
// at a record. All that was begun for it ends with it. It is used on the main
// loop only; its context goes anywhere.
type Scope struct {
	ctx    context.Context
	end    context.CancelFunc
	around *Scope
	within map[*Scope]bool
	undo   []func()
}

// NewScope makes a scope that ends at the latest with the one around it; nil
// stands for one that only Close ends.
func NewScope(around *Scope) *Scope {
	s := &Scope{around: around, within: map[*Scope]bool{}}
	parent := context.Background()
	if around != nil {
		parent = around.ctx
		around.within[s] = true
	}
	s.ctx, s.end = context.WithCancel(parent)
	return s
}

// Context is done once the scope is closed.
func (s *Scope) Context() context.Context { return s.ctx }

// Closed reports whether the scope has ended.
func (s *Scope) Closed() bool { return s.ctx.Err() != nil }

// OnClose has Close call f, the last one first; at once where the scope is
// closed already.
func (s *Scope) OnClose(f func()) {
	if s.Closed() {
		f()
		return
	}
	s.undo = append(s.undo, f)
}

// Close ends the scope, what lies within it first; again it does nothing.
func (s *Scope) Close() {
	if s.around != nil {
		delete(s.around.within, s)
	}
	for len(s.within) > 0 { // more may begin meanwhile
		for inner := range s.within {
			inner.Close()
		}
	}
	s.end()
	undo := s.undo
	s.undo = nil
	for i := len(undo) - 1; i >= 0; i-- {
		undo[i]()
	}
}

// Async does work in a goroutine, and then, on the main loop, what work
// returned, unless that is nil or the scope was closed meanwhile. It is the one
// way to wait for anything: handlers return at once.
func Async(s *Scope, work func(context.Context) func()) {
	ctx := s.ctx
	go func() {
		then := work(ctx)
		if then == nil || ctx.Err() != nil {
			return
		}
		Soon(s, then)
	}()
}

// Soon does f on the main loop once what it does now is over, unless the scope
// is closed before.
func Soon(s *Scope, f func()) {
	ctx := s.ctx
	Turn(func() {
		if ctx.Err() == nil {
			f()
		}
	})
}

// drawing is the priority with which GTK draws, after that of what comes from
// the desktop (GDK_PRIORITY_REDRAW).
const drawing = glib.PriorityHighIdle + 20

// Turn does f on the main loop once what it does now is over, in turn with
// drawing: neither keeps the other from running, however long a frame takes. What
// is merely idle never runs where one frame takes until the next is due, as
// without a graphics card.
func Turn(f func()) { glib.IdleAddPriority(drawing, f) }

// After does f on the main loop once that many milliseconds have passed, unless
// the scope is closed before. Call what it returns to give it up.
func After(s *Scope, milliseconds uint, f func()) (forget func()) {
	var source glib.SourceHandle
	source = glib.TimeoutAdd(milliseconds, func() bool {
		source = 0
		if s.ctx.Err() == nil {
			f()
		}
		return false
	})
	return func() {
		if source != 0 {
			glib.SourceRemove(source)
			source = 0
		}
	}
}

// Bind has Close disconnect what was connected to object's signal:
//
//	s.Bind(button, button.ConnectClicked(f))
//
// A handler of a child that holds its parent, be it by a method value, keeps
// both for ever unless it is bound.
func (s *Scope) Bind(object glib.Objector, handle glib.SignalHandle) {
	s.OnClose(func() { glib.BaseObject(object).HandlerDisconnect(handle) })
}
