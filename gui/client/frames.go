//go:build gtk && frames

package client

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/gui/frames"
)

// logFrames writes down what is drawn, of the history too.
func (w *window) logFrames() { frames.Write(w.scope, w.Top(), w.sight, w.rowWithFocus) }

func (w *window) sight() frames.Sight {
	s := frames.Sight{Page: w.Current(), Told: w.told}
	switch p := w.front().(type) {
	case *history:
		s.Rows = p.rows.Len()
		for _, b := range p.lines.bound {
			if !b.live || !frames.InView(b.row, p.Scroll) {
				continue
			}
			position := int(b.item.Position())
			_, known := p.rows.Line(position)
			s.See(position, !known || b.late)
		}
	case *runPage:
		if t := p.task(); t != nil {
			s.Rows = t.stream.Len()
		}
	}
	return s
}

// rowWithFocus names a row of the history by its place.
func (w *window) rowWithFocus(focus *gtk.Widget) string {
	h, ok := w.front().(*history)
	if !ok {
		return ""
	}
	for _, b := range h.lines.bound {
		if b.live && frames.Around(b.row, focus) {
			return fmt.Sprint("row", b.item.Position())
		}
	}
	return ""
}
