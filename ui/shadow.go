//go:build gtk

package ui

import (
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// shadow is what a leaflet draws over the page that lies below another one.
var shadow = []string{"dimming", "shadow", "border", "outline"}

// shadowLast puts a leaflet's shadow behind its pages in the order of its
// children. Whenever any label on any page wants another size, the leaflet is
// laid out, and sets the style classes of its shadow anew; GTK then makes the
// style anew of every widget within what follows it, which with the timeline are
// three thousand. Drawing goes by no order of children. Nothing is to be pressed
// there.
func shadowLast(l *adw.Leaflet) {
	var found []*gtk.Widget
	for w := l.FirstChild(); w != nil; {
		child := gtk.BaseWidget(w)
		w = child.NextSibling()
		if slices.Contains(shadow, child.CSSName()) {
			found = append(found, child)
		}
	}
	for _, child := range found {
		child.SetCanTarget(false)
		child.InsertBefore(l, nil)
	}
}
