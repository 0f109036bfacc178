//go:build gtk

package ui

import (
	"slices"
	"testing"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/queue"
	"qvmremote/test/stage"
)

// TestAToastSaysAllOfIt, in as many lines as it takes, however narrow the window.
func TestAToastSaysAllOfIt(t *testing.T) {
	stage.Enter(t)
	overlay := adw.NewToastOverlay()
	overlay.SetChild(gtk.NewBox(gtk.OrientationVertical, 0))
	window := show(t, overlay)
	window.SetDefaultSize(360, 500)
	stage.Until(t, "the window is narrow", func() bool { return overlay.Width() == 360 })
	long := "the result could not be kept: there is no room left on the disk of this qube; make room there, and the result comes by itself"
	for name, text := range hostile {
		toast := newToast(long+text, true)
		overlay.AddToast(toast)
		want := queue.Plain(long+text, 1000)
		stage.Until(t, name+": the toast", func() bool { return slices.Contains(texts(overlay), want) })
		for _, l := range each[*gtk.Label](overlay) {
			if l.Text() != want {
				continue
			}
			stage.Until(t, name+": it is drawn", func() bool { return l.Width() > 0 })
			if l.UseMarkup() || l.Layout().IsEllipsized() || l.Layout().LineCount() < 4 || l.Width() > 280 {
				t.Errorf("%s: not all of the toast is shown: markup %t, %d lines, %d wide", name, l.UseMarkup(), l.Layout().LineCount(), l.Width())
			}
		}
		toast.Dismiss()
		stage.Until(t, name+": it is gone", func() bool { return !slices.Contains(texts(overlay), want) })
	}
}

// TestAShortToastIsOneLine beside its button too.
func TestAShortToastIsOneLine(t *testing.T) {
	stage.Enter(t)
	overlay := adw.NewToastOverlay()
	overlay.SetChild(gtk.NewBox(gtk.OrientationVertical, 0))
	show(t, overlay).SetDefaultSize(360, 500)
	const text = "1 command was deleted."
	for _, narrow := range []bool{true, false} {
		toast := newToast(text, narrow)
		toast.SetButtonLabel("Undo")
		overlay.AddToast(toast)
		for _, l := range each[*gtk.Label](overlay) {
			if l.Text() != text {
				continue
			}
			stage.Until(t, "the toast is drawn", func() bool { return l.Width() > 0 })
			if n := l.Layout().LineCount(); n != 1 {
				t.Errorf("narrow %t: it takes %d lines", narrow, n)
			}
		}
		toast.Dismiss()
		stage.Until(t, "the toast is gone", func() bool { return !slices.Contains(texts(overlay), text) })
	}
}
