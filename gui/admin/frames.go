//go:build gtk && frames

package admin

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/gui/frames"
)

// logFrames writes down what is drawn, of the timeline too.
func (w *window) logFrames() { frames.Write(w.scope, w.Top(), w.sight, w.rowWithFocus) }

func (w *window) sight() frames.Sight {
	s := frames.Sight{Page: w.Current(), Told: w.States.VisibleChildName() == "content"}
	a := w.timeline()
	if a == nil {
		return s
	}
	s.Rows, s.Held = a.model.Len(), a.model.Held()
	for _, b := range a.bound {
		if !b.live || !frames.InView(b.row, a.Scroll) {
			continue
		}
		position := int(b.item.Position())
		r, known := a.model.Row(position)
		s.See(position, !known)
		if known && position == 0 {
			s.Top = r.Seq
		}
	}
	return s
}

// timeline is the page Activity where it is shown, else nil.
func (w *window) timeline() *activity {
	a, ok := w.pages["activity"].(*activity)
	if !ok || !a.visible || a.model == nil {
		return nil
	}
	return a
}

// rowWithFocus names a row of the timeline by its record, or where that is not
// known by its place from the end.
func (w *window) rowWithFocus(focus *gtk.Widget) string {
	a := w.timeline()
	if a == nil {
		return ""
	}
	for _, b := range a.bound {
		if !b.live || !frames.Around(b.row, focus) {
			continue
		}
		position := int(b.item.Position())
		if r, known := a.model.Row(position); known {
			return fmt.Sprint("record", r.Seq)
		}
		return fmt.Sprint("row", position-a.model.Len())
	}
	return ""
}
