//go:build gtk

package admin

import (
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
)

// escape is text where libadwaita takes markup.
func escape(text string) string { return glib.MarkupEscapeText(text, -1) }

// factory makes the rows: once each, and then only changes what they show.
func (a *activity) factory() *gtk.SignalListItemFactory {
	f := gtk.NewSignalListItemFactory()
	a.scope.Bind(f, f.ConnectSetup(func(item *gtk.ListItem) {
		b := &boundRow{item: item, row: ui.NewTimelineRow()}
		b.row.Narrow(a.small)
		item.SetChild(b.row)
		a.bound[item.Native()] = b
	}))
	a.scope.Bind(f, f.ConnectBind(func(item *gtk.ListItem) {
		if b := a.bound[item.Native()]; b != nil {
			b.live = true
			a.showRow(b)
		}
	}))
	a.scope.Bind(f, f.ConnectUnbind(func(item *gtk.ListItem) {
		if b := a.bound[item.Native()]; b != nil {
			b.live = false
		}
	}))
	a.scope.Bind(f, f.ConnectTeardown(func(item *gtk.ListItem) { delete(a.bound, item.Native()) }))
	return f
}

// refreshRows shows what is known now in the rows that are there.
func (a *activity) refreshRows() {
	for _, b := range a.bound {
		if b.live {
			a.showRow(b)
		}
	}
}

// showRow leaves alone a row that shows it already: all that is on the screen is
// looked at whenever something comes, and little of it has changed.
func (a *activity) showRow(b *boundRow) {
	m, name := ui.Moment{}, "…" // its record is on its way
	if r, ok := a.model.Row(int(b.item.Position())); ok {
		m = a.moment(int(b.item.Position()), r)
		name = m.Sentence()
	}
	if m == b.shown {
		return
	}
	if b.shown = m; m == (ui.Moment{}) {
		b.row.Blank()
	} else {
		b.row.Set(m)
	}
	// What has the focus is the list's own widget around the row.
	if around, ok := b.row.Parent().(*gtk.Widget); ok {
		ui.Name(around, name)
	}
}

// moment is what the row of a record shows.
func (a *activity) moment(position int, r dbus.Record) ui.Moment {
	m := moment(r, a.labels[r.Qube], words.Clock(r.Time))
	if r.Event == "run" && a.desk.now.Manager.State == dbus.Stopped {
		m.Word, m.Tone, m.Icon = "not ended", string(words.Warn), "qr-interrupted-symbolic" // until the next start says how it did
	}
	day := words.Day(r.Time)
	if before, known := a.model.Row(position - 1); position == 0 || known && words.Day(before.Time) != day {
		m.Day = day
	}
	return m
}
