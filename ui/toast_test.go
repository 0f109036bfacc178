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
		toast := newToast(long+text, "", true)
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

// TestAToastFitsAWindowThatBecomesNarrow while it is read.
func TestAToastFitsAWindowThatBecomesNarrow(t *testing.T) {
	stage.Enter(t)
	overlay := adw.NewToastOverlay()
	overlay.SetChild(gtk.NewBox(gtk.OrientationVertical, 0))
	window := show(t, overlay)
	window.SetDefaultSize(900, 500)
	text := "the result could not be kept: there is no room left on the disk of this qube; make room there, and the result comes by itself"
	overlay.AddToast(newToast(text, "", false))
	var label *gtk.Label
	stage.Until(t, "the toast is drawn", func() bool {
		for _, l := range each[*gtk.Label](overlay) {
			if l.Text() == text && l.Width() > 300 {
				label = l
			}
		}
		return label != nil
	})
	window.SetDefaultSize(360, 500)
	fitToasts(overlay, true)
	stage.Until(t, "the window is narrow, and the toast as well", func() bool { return overlay.Width() == 360 && label.Width() < 300 })
	if label.Layout().IsEllipsized() || label.Layout().LineCount() < 4 {
		t.Errorf("it has %d lines", label.Layout().LineCount())
	}
}

// TestAShortToastIsOneLine beside its button too.
func TestAShortToastIsOneLine(t *testing.T) {
	stage.Enter(t)
	overlay := adw.NewToastOverlay()
	overlay.SetChild(gtk.NewBox(gtk.OrientationVertical, 0))
	window := show(t, overlay)
	for _, c := range []struct {
		text  string
		width int
	}{{"1 command was deleted.", 360}, {"1 command was deleted.", 900}, {"125 commands were deleted.", 900}} {
		window.SetDefaultSize(c.width, 500)
		stage.Until(t, "the window has its width", func() bool { return overlay.Width() == c.width })
		toast := newToast(c.text, "Undo", c.width < 600)
		overlay.AddToast(toast)
		lines := 0
		stage.Until(t, "the toast is drawn", func() bool {
			for _, l := range each[*gtk.Label](overlay) {
				if l.Text() == c.text && l.Width() > 0 {
					lines = l.Layout().LineCount()
				}
			}
			return lines > 0
		})
		if lines != 1 {
			t.Errorf("%q takes %d lines in a window of %d", c.text, lines, c.width)
		}
		toast.Dismiss()
		stage.Until(t, "the toast is gone", func() bool { return !slices.Contains(texts(overlay), c.text) })
	}
}
