//go:build gtk

package gui

import (
	"testing"

	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// TestNarrowedInOneGo: a person who drags the window's edge goes from the full width to
// the least in one go, on each page; the sidebar folds away then, and comes back.
func TestNarrowedInOneGo(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{History: true, Running: true, Records: 400, Day: true}, "overview")
	s.app.Find(t, "list item", "*exit 0*") // the last events, with their words
	for _, page := range []struct{ key, ready string }{
		{"ctrl+1", "Last events"}, {"ctrl+2", "Qubes that may ask dom0"}, {"ctrl+4", "Activity"},
	} {
		s.Desktop.Key(t, page.key)
		s.app.Find(t, "label", page.ready)
		for _, width := range []int{1200, 360, 620, 360, 1200} {
			s.Resize(t, width, 700)
			desktop.Await(t, "the program has the width", func() bool {
				w, _ := s.Size(t)
				return w == width && s.app.Find(t, "window", "").Bounds(t).Dx() == width
			})
			if width == 360 {
				s.app.Find(t, "button", "Back")
			}
		}
	}
	for _, key := range []string{"Down", "Return"} { // a record, in full
		s.Desktop.Key(t, key)
	}
	s.app.Find(t, "label", "Record")
	s.Resize(t, 360, 700)
}
