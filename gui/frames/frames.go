//go:build gtk && frames

package frames

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	coreglib "github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui"
)

// variable names the file that a program built to be measured writes to. Its
// lines are for test/gui/bench; all times are microseconds of the monotonic
// clock:
//
//	main AT                                  the program's own code began
//	key AT KEYVAL FOCUS                      a key came to the window, where that was the focus
//	frame AT TOOK WORK PAGE TOLD ROWS HELD SEEN BLANK FIRST TOP FOCUS
//
// WORK is the part of TOOK that the main thread ran; the rest is a [Sight], and
// what has the focus.
const variable = "QVM_REMOTE_FRAMES"

// began is when main did: it follows the variables of the packages it imports.
var began = glib.GetMonotonicTime()

// Sight is what a frame shows: the page, whether it shows what the program waits
// for at its start, and of a list its rows, those in memory, those that can be
// seen, how many of these wait for what they show, the first of them, and the
// record of row 0 where that can be seen.
type Sight struct {
	Page                           string
	Told                           bool
	Rows, Held, Seen, Blank, First int
	Top                            uint64
}

// See adds a row of the list that can be seen, blank where it waits.
func (s *Sight) See(position int, blank bool) {
	if s.Seen == 0 || position < s.First {
		s.First = position
	}
	s.Seen++
	if blank {
		s.Blank++
	}
}

// log writes what was drawn, and when. A line waits in memory until the one
// before is in the file, so that no disk keeps the main loop.
type log struct {
	scope   *ui.Scope
	window  *gtk.Window
	path    string
	sight   func() Sight
	row     func(focus *gtk.Widget) string
	pending []byte
	writes  bool
	frame   int64 // when it began
	worked  int64 // how long the main thread had run by then
}

// Write writes the frames of a window, where [variable] says to which file. row
// names the row of a list that has the focus, "" for none.
func Write(s *ui.Scope, window *gtk.Window, sight func() Sight, row func(focus *gtk.Widget) string) {
	l := &log{scope: s, window: window, path: os.Getenv(variable), sight: sight, row: row}
	if l.path == "" {
		return
	}
	l.add("main %d", began)
	window.ConnectRealize(func() {
		clock := gdk.BaseFrameClock(window.FrameClock())
		clock.ConnectBeforePaint(func() { l.frame, l.worked = glib.GetMonotonicTime(), worked() })
		clock.ConnectAfterPaint(l.drawn)
	})
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	keys.ConnectKeyPressed(func(keyval, _ uint, _ gdk.ModifierType) bool {
		l.add("key %d %d %s", glib.GetMonotonicTime(), keyval, l.focus())
		return false
	})
	window.AddController(keys)
}

func (l *log) drawn() {
	took, work := glib.GetMonotonicTime()-l.frame, worked()-l.worked
	s, told := l.sight(), 0
	if s.Told {
		told = 1
	}
	l.add("frame %d %d %d %s %d %d %d %d %d %d %d %s", l.frame, took, work, s.Page, told, s.Rows, s.Held, s.Seen, s.Blank, s.First, s.Top, l.focus())
}

// worked is how long the thread that asks has run.
func worked() int64 {
	const thisThread = 1
	var u syscall.Rusage
	if err := syscall.Getrusage(thisThread, &u); err != nil {
		return 0
	}
	return (u.Utime.Nano() + u.Stime.Nano()) / 1000
}

// focus tells one thing with the focus from another.
func (l *log) focus() string {
	w := l.window.Focus()
	if w == nil {
		return "none"
	}
	focus := gtk.BaseWidget(w)
	if row := l.row(focus); row != "" {
		return row
	}
	return fmt.Sprintf("%s%x", strings.ReplaceAll(focus.Name(), " ", ""), coreglib.BaseObject(focus).Native())
}

// Around reports whether a widget is what a list puts around a row.
func Around(row gtk.Widgetter, w *gtk.Widget) bool {
	around := gtk.BaseWidget(row).Parent()
	return around != nil && coreglib.BaseObject(around).Eq(w)
}

// InView reports whether some of a row can be seen in what scrolls.
func InView(row gtk.Widgetter, scroll *gtk.ScrolledWindow) bool {
	w := gtk.BaseWidget(row)
	if !w.Mapped() {
		return false
	}
	at, ok := w.ComputeBounds(scroll)
	return ok && at.Y()+at.Height() > 0 && at.Y() < float32(scroll.Height())
}

func (l *log) add(format string, args ...any) {
	l.pending = append(fmt.Appendf(l.pending, format, args...), '\n')
	l.write()
}

func (l *log) write() {
	if l.writes || len(l.pending) == 0 {
		return
	}
	lines := l.pending
	l.pending, l.writes = nil, true
	ui.Async(l.scope, func(ctx context.Context) func() {
		err := appendTo(ctx, l.path, lines)
		return func() {
			if l.writes = false; err != nil {
				fmt.Fprintln(os.Stderr, "cannot log the frames:", err)
			}
			l.write()
		}
	})
}

func appendTo(ctx context.Context, path string, text []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close(), ctx.Err())
}
