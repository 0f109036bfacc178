//go:build gtk && frames

package client

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/gui/frames"
	"qvmremote/ui"
)

// logFrames writes down what is drawn, of the history too.
func (w *window) logFrames() { frames.Write(w.scope, w.Top(), w.sight, w.rowWithFocus) }

func (w *window) sight() frames.Sight {
	s := frames.Sight{Page: w.Current(), Told: w.told}
	switch p := w.front().(type) {
	case *history:
		s.Rows = p.rows.Len()
		p.lines.Each(func(row *ui.TimelineRow, position int, filled bool) {
			if frames.InView(row, p.Scroll) {
				s.See(position, !filled)
			}
		})
	case *runPage:
		if t := p.task(); t != nil {
			s.Rows = t.stream.Len()
		}
	}
	return s
}

// rowWithFocus names a row of the history by its place.
func (w *window) rowWithFocus(focus *gtk.Widget) (name string) {
	h, ok := w.front().(*history)
	if !ok {
		return ""
	}
	h.lines.Each(func(row *ui.TimelineRow, position int, _ bool) {
		if frames.Around(row, focus) {
			name = fmt.Sprint("row", position)
		}
	})
	return name
}
