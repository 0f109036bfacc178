//go:build gtk

package admin

import (
	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// escape is text where libadwaita takes markup.
func escape(text string) string { return glib.MarkupEscapeText(text, -1) }

// momentAt is what the row at a position shows, if its record is there.
func (a *activity) momentAt(position int) (m ui.Moment, known bool) {
	r, ok := a.model.Row(position)
	if !ok {
		return ui.Moment{}, false
	}
	return a.moment(position, r), true
}

// moment is what the row of a record shows.
func (a *activity) moment(position int, r dbus.Record) ui.Moment {
	m := moment(r, a.labels[r.Qube], say.Clock(r.Time))
	if r.Event == "run" && a.desk.now.Manager.State == dbus.Stopped {
		m.Word, m.Tone, m.Icon = i18n.T("not ended"), string(say.Warn), "qr-interrupted-symbolic" // until the next start says how it did
	}
	day := say.Day(r.Time)
	if before, known := a.model.Row(position - 1); position == 0 || known && say.Day(before.Time) != day {
		m.Day = day
	}
	return m
}
