//go:build gtk

package ui

import (
	"sync"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Late is work put off to the next frames of a widget, some of it in each. GTK
// binds two hundred rows of a list at a time, and to lay out all of them takes
// longer than a frame may.
type Late struct {
	scope  *Scope
	widget *gtk.Widget
	some   func() (more bool)
	due    bool
}

// NewLate has some do a part of the work, in each frame from [Late.Due] on until
// it reports that there is no more, or the scope is closed.
func NewLate(s *Scope, widget gtk.Widgetter, some func() (more bool)) *Late {
	return &Late{scope: s, widget: gtk.BaseWidget(widget), some: some}
}

// Due says that there is work.
func (l *Late) Due() {
	if l.due {
		return
	}
	l.due = true
	l.widget.AddTickCallback(func(gtk.Widgetter, gdk.FrameClocker) bool {
		l.due = !l.scope.Closed() && l.some()
		return l.due
	})
}

// AfterFrame returns due, whose first call has f called once: when the widget has
// drawn its next frame, unless the scope is closed before.
func AfterFrame(s *Scope, widget gtk.Widgetter, f func()) (due func()) {
	frames := 0
	l := NewLate(s, widget, func() (more bool) {
		if frames++; frames == 2 {
			f()
		}
		return frames < 2
	})
	return sync.OnceFunc(l.Due)
}
