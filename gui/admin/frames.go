//go:build gtk && frames

package admin

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

// framesVar names the file that a program built to be measured writes to. Its
// lines are for test/gui/bench; all times are microseconds of the monotonic
// clock:
//
//	main AT                                  the program's own code began
//	key AT KEYVAL FOCUS                      a key came to the window, where that was the focus
//	frame AT TOOK WORK PAGE SERVICE ROWS HELD SEEN BLANK FIRST TOP FOCUS
//
// WORK is the part of TOOK that the main thread ran; PAGE is the one shown;
// SERVICE is 1 once it shows what the service says. The rest is of the timeline:
// its rows, those in memory, those that can be seen, how many of these wait for
// their record, the first of them, the record of row 0 where that can be seen,
// and what has the focus, rows by their record.
const framesVar = "QVM_REMOTE_FRAMES"

// began is when main did: it follows the variables of the packages it imports.
var began = glib.GetMonotonicTime()

// frameLog writes what was drawn, and when. A line waits in memory until the
// one before is in the file, so that no disk keeps the main loop.
type frameLog struct {
	w       *window
	path    string
	pending []byte
	writes  bool
	frame   int64 // when it began
	worked  int64 // how long the main thread had run by then
}

func (w *window) logFrames() {
	l := &frameLog{w: w, path: os.Getenv(framesVar)}
	if l.path == "" {
		return
	}
	l.add("main %d", began)
	w.Window.ConnectRealize(func() {
		clock := gdk.BaseFrameClock(w.Window.FrameClock())
		clock.ConnectBeforePaint(func() { l.frame, l.worked = glib.GetMonotonicTime(), worked() })
		clock.ConnectAfterPaint(l.drawn)
	})
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	keys.ConnectKeyPressed(func(keyval, _ uint, _ gdk.ModifierType) bool {
		l.add("key %d %d %s", glib.GetMonotonicTime(), keyval, l.focus())
		return false
	})
	w.Window.AddController(keys)
}

func (l *frameLog) drawn() {
	took, work := glib.GetMonotonicTime()-l.frame, worked()-l.worked
	var service, rows, held int
	var s sight
	if l.w.States.VisibleChildName() == "content" {
		service = 1
	}
	if a := l.activity(); a != nil {
		rows, held = a.model.Len(), a.model.Held()
		s = a.onScreen()
	}
	l.add("frame %d %d %d %s %d %d %d %d %d %d %d %s", l.frame, took, work, l.w.Current(), service, rows, held, s.seen, s.blank, s.first, s.top, l.focus())
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

// activity is the timeline where it is shown, else nil.
func (l *frameLog) activity() *activity {
	a, ok := l.w.pages["activity"].(*activity)
	if !ok || !a.visible || a.model == nil {
		return nil
	}
	return a
}

// sight is what can be seen of the timeline.
type sight struct {
	seen, blank, first int
	top                uint64
}

func (a *activity) onScreen() (s sight) {
	height := float32(a.Scroll.Height())
	for _, b := range a.bound {
		if !b.live || !b.row.Mapped() {
			continue
		}
		at, ok := b.row.ComputeBounds(a.Scroll)
		if !ok || at.Y()+at.Height() <= 0 || at.Y() >= height {
			continue
		}
		position := int(b.item.Position())
		if s.seen == 0 || position < s.first {
			s.first = position
		}
		s.seen++
		r, known := a.model.Row(position)
		if !known {
			s.blank++
		} else if position == 0 {
			s.top = r.Seq
		}
	}
	return s
}

// focus tells one thing with the focus from another: rows of the timeline by
// their record, or where that is not known by their place from the end.
func (l *frameLog) focus() string {
	w := l.w.Window.Focus()
	if w == nil {
		return "none"
	}
	focus := gtk.BaseWidget(w)
	if a := l.activity(); a != nil {
		for _, b := range a.bound {
			if around, ok := b.row.Parent().(*gtk.Widget); !ok || !b.live || pointer(around) != pointer(focus) {
				continue
			}
			position := int(b.item.Position())
			if r, known := a.model.Row(position); known {
				return fmt.Sprint("record", r.Seq)
			}
			return fmt.Sprint("row", position-a.model.Len())
		}
	}
	return fmt.Sprintf("%s%x", strings.ReplaceAll(focus.Name(), " ", ""), pointer(focus))
}

func pointer(w *gtk.Widget) uintptr { return coreglib.InternObject(w).Native() }

func (l *frameLog) add(format string, args ...any) {
	l.pending = append(fmt.Appendf(l.pending, format, args...), '\n')
	l.write()
}

func (l *frameLog) write() {
	if l.writes || len(l.pending) == 0 {
		return
	}
	lines := l.pending
	l.pending, l.writes = nil, true
	ui.Async(l.w.scope, func(ctx context.Context) func() {
		err := appendTo(ctx, l.path, lines)
		return func() {
			if l.writes = false; err != nil {
				fmt.Fprintln(os.Stderr, "qvm-remote-admin: cannot log the frames:", err)
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
