//go:build gtk

package admin

import (
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
)

// moments is a short list of records, each as a line of a timeline.
type moments struct {
	rows[dbus.Record]
	made  []*ui.TimelineRow
	small bool
}

// row puts a line in a row, which set has show a record; activates says whether
// that can be opened.
func (m *moments) row(line *ui.TimelineRow, activates bool, set func(dbus.Record) ui.Moment) shownRow[dbus.Record] {
	row := adw.NewPreferencesRow()
	line.Narrow(m.small)
	m.made = append(m.made, line)
	row.SetChild(line)
	row.SetActivatable(activates)
	return shownRow[dbus.Record]{
		widget: row,
		set:    func(r dbus.Record) { ui.Name(row, line.Set(set(r))) },
		close:  func() { m.made = slices.DeleteFunc(m.made, func(l *ui.TimelineRow) bool { return l == line }) },
	}
}

// narrow has all lines do with little room, or no longer.
func (m *moments) narrow(narrow bool) {
	m.small = narrow
	for _, line := range m.made {
		line.Narrow(narrow)
	}
}

// moment is a record as a line of a timeline, with the time as it is shown.
func moment(r dbus.Record, label, clock string) ui.Moment {
	look := words.Event(r)
	text, command := words.Summary(r)
	return ui.Moment{
		Time: clock, Icon: look.Icon, Tone: string(look.Tone), Word: look.Word,
		Qube: r.Qube, Label: label, Text: text, Command: command,
	}
}
