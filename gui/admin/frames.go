//go:build gtk && frames

package admin

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/gui/frames"
	"qvmremote/ui"
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
	a.lines.Each(func(row *ui.TimelineRow, position int, filled bool) {
		if !frames.InView(row, a.Scroll) {
			return
		}
		s.See(position, !filled)
		if r, known := a.model.Row(position); known && position == 0 {
			s.Top = r.Seq
		}
	})
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
func (w *window) rowWithFocus(focus *gtk.Widget) (name string) {
	a := w.timeline()
	if a == nil {
		return ""
	}
	a.lines.Each(func(row *ui.TimelineRow, position int, _ bool) {
		if !frames.Around(row, focus) {
			return
		}
		name = fmt.Sprint("row", position-a.model.Len())
		if r, known := a.model.Row(position); known {
			name = fmt.Sprint("record", r.Seq)
		}
	})
	return name
}
