//go:build gtk

package ui

import (
	"testing"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

func TestMain(m *testing.M) { stage.Main(m) }

// each is the widgets of type T in w and below it, in their order.
func each[T any](w gtk.Widgetter) []T {
	var all []T
	if one, ok := w.(T); ok {
		all = append(all, one)
	}
	for c := gtk.BaseWidget(w).FirstChild(); c != nil; c = gtk.BaseWidget(c).NextSibling() {
		all = append(all, each[T](c)...)
	}
	return all
}

// texts are what the labels in w show, whether or not they are visible.
func texts(w gtk.Widgetter) []string {
	var all []string
	for _, l := range each[*gtk.Label](w) {
		if l.Text() != "" {
			all = append(all, l.Text())
		}
	}
	return all
}

// show has a widget drawn in a window of its own until the test ends: some of
// what GTK warns of it finds out only then.
func show(t *testing.T, w gtk.Widgetter) *gtk.Window {
	t.Helper()
	window := gtk.NewWindow()
	window.SetDefaultSize(600, 400)
	window.SetChild(w)
	window.Present()
	t.Cleanup(window.Destroy)
	stage.Until(t, "the window is drawn", func() bool { return gtk.BaseWidget(w).Width() > 0 })
	return window
}

func newBoxOf(widgets ...gtk.Widgetter) *gtk.Box {
	box := gtk.NewBox(gtk.OrientationVertical, 0)
	for _, w := range widgets {
		box.Append(w)
	}
	return box
}
