//go:build gtk

package ui

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

// TestAPageEndsFromInside: the dialog before the page, and what was begun last
// before what was begun first.
func TestAPageEndsFromInside(t *testing.T) {
	t.Parallel()
	var ended []string
	note := func(s *Scope, what string) { s.OnClose(func() { ended = append(ended, what) }) }
	page := NewScope(nil)
	note(page, "page 1")
	dialog := NewScope(page)
	note(dialog, "dialog 1")
	inner := NewScope(dialog)
	note(inner, "inner")
	note(dialog, "dialog 2")
	note(page, "page 2")
	page.Close()
	page.Close()
	if want := []string{"inner", "dialog 2", "dialog 1", "page 2", "page 1"}; !slices.Equal(ended, want) {
		t.Errorf("it ends in the order %q, not %q", ended, want)
	}
	for _, s := range []*Scope{page, dialog, inner} {
		if !s.Closed() || s.Context().Err() == nil {
			t.Error("something goes on")
		}
	}
}

// TestADialogEndsAlone: the page around it goes on, and does not end it again.
func TestADialogEndsAlone(t *testing.T) {
	t.Parallel()
	page := NewScope(nil)
	dialog := NewScope(page)
	n := 0
	dialog.OnClose(func() { n++ })
	dialog.Close()
	if page.Closed() || !dialog.Closed() || len(page.within) != 0 {
		t.Errorf("page %t, dialog %t, and %d within", page.Closed(), dialog.Closed(), len(page.within))
	}
	page.Close()
	if n != 1 {
		t.Errorf("it ended %d times", n)
	}
}

// TestWhatBeginsTooLateEndsAtOnce, be it while what is around it ends.
func TestWhatBeginsTooLateEndsAtOnce(t *testing.T) {
	t.Parallel()
	page := NewScope(nil)
	late := 0
	for range 20 {
		NewScope(page).OnClose(func() { NewScope(page).OnClose(func() { late++ }) })
	}
	page.Close()
	if late != 20 {
		t.Errorf("of what began meanwhile %d ended", late)
	}
	page.OnClose(func() { late++ })
	NewScope(page).OnClose(func() { late++ })
	if late != 22 {
		t.Error("what began afterwards does not end")
	}
}

func TestAnAnswerIsShownWhileThePageIsThere(t *testing.T) {
	stage.Enter(t)
	s := NewScope(nil)
	defer s.Close()
	shown := false
	Async(s, func(context.Context) func() { return func() { shown = true } })
	Async(s, func(context.Context) func() { return nil })
	if shown {
		t.Error("it is shown in the middle of a handler")
	}
	stage.Until(t, "the answer is shown", func() bool { return shown })
}

// TestAnAnswerIsDroppedWithItsPage, whether it comes before or after the end,
// and the work is told that it may stop.
func TestAnAnswerIsDroppedWithItsPage(t *testing.T) {
	stage.Enter(t)
	s := NewScope(nil)
	told, answered := make(chan struct{}), make(chan struct{})
	Async(s, func(ctx context.Context) func() {
		<-ctx.Done()
		close(told)
		return func() { t.Error("it is shown though it came after the end") }
	})
	Async(s, func(context.Context) func() {
		defer close(answered)
		return func() { t.Error("it is shown though the page is gone") }
	})
	Soon(s, func() { t.Error("it happens though the page is gone") })
	After(s, 1, func() { t.Error("the time comes though the page is gone") })
	<-answered
	s.Close()
	<-told
	later := NewScope(nil)
	defer later.Close()
	over := false
	After(later, 50, func() { over = true })
	stage.Until(t, "what was due before is over", func() bool { return over })
}

func TestWhatIsGivenUpDoesNotHappen(t *testing.T) {
	stage.Enter(t)
	s := NewScope(nil)
	defer s.Close()
	var happened []string
	forget := After(s, 1, func() { happened = append(happened, "forgotten") })
	forgetTooLate := After(s, 1, func() { happened = append(happened, "first") })
	After(s, 50, func() { happened = append(happened, "second") })
	forget()
	forget()
	stage.Until(t, "the others happen", func() bool { return len(happened) > 0 && happened[len(happened)-1] == "second" })
	forgetTooLate()
	if !slices.Equal(happened, []string{"first", "second"}) {
		t.Errorf("this happens: %q", happened)
	}
}

func TestAButtonDoesNothingOnceItsPageIsGone(t *testing.T) {
	stage.Enter(t)
	s := NewScope(nil)
	b, pressed := gtk.NewButton(), 0
	s.Bind(b, b.ConnectClicked(func() { pressed++ }))
	b.Emit("clicked")
	s.Close()
	b.Emit("clicked")
	if pressed != 1 {
		t.Errorf("it was pressed %d times", pressed)
	}
}

// TestDrawingLetsOthersRun: where each frame takes longer than until the next is
// due, as without a graphics card, what came meanwhile is shown all the same.
func TestDrawingLetsOthersRun(t *testing.T) {
	stage.Enter(t)
	s := NewScope(nil)
	defer s.Close()
	area := gtk.NewDrawingArea()
	show(t, area)
	const most = 40
	frames, asked, answered := 0, 0, 0
	area.AddTickCallback(func(gtk.Widgetter, gdk.FrameClocker) bool {
		frames++
		if frames == 3 {
			Async(s, func(context.Context) func() {
				return func() { answered = frames }
			})
			asked = frames
		}
		time.Sleep(30 * time.Millisecond) // it draws
		area.QueueDraw()
		return answered == 0 && frames < most
	})
	stage.Until(t, "it was drawn for a while, or there is an answer", func() bool { return answered > 0 || frames == most })
	if answered == 0 || answered-asked > 3 {
		t.Errorf("asked in frame %d, it is answered in frame %d of %d", asked, answered, frames)
	}
}
