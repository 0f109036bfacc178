//go:build gtk

package admin

import (
	"context"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

func newProblemRow() shownRow[dbus.Problem] {
	row := ui.NewRow()
	icon := gtk.NewImageFromIconName("qr-failed-symbolic")
	row.AddPrefix(icon)
	return shownRow[dbus.Problem]{widget: row, set: func(p dbus.Problem) {
		row.Set(words.Trouble(p), say.Sentence(p.Text))
		ui.SetTone(icon, words.Severity(p.Severity))
	}}
}

// newCommandRow is a command that runs or waits, with a button that ends it.
func (o *overview) newCommandRow() shownRow[dbus.Command] {
	scope := ui.NewScope(o.scope)
	row, chip := ui.NewRow(), ui.NewChip()
	row.AddPrefix(chip)
	end := gtk.NewButtonWithLabel(i18n.T("Cancel…"))
	end.SetVAlign(gtk.AlignCenter)
	row.AddSuffix(end)
	var now dbus.Command
	scope.Bind(end, end.ConnectClicked(func() { o.confirmCancel(end, now) }))
	return shownRow[dbus.Command]{widget: row, close: scope.Close, set: func(c dbus.Command) {
		now = c
		chip.SetColour(o.labels[c.Qube])
		row.Set(c.Qube, words.CommandLine(c))
		end.SetVisible(c.Number != 0)
		ui.Name(end, i18n.T("Cancel the command of %s", c.Qube))
	}}
}

func (o *overview) confirmCancel(button *gtk.Button, c dbus.Command) {
	o.ask(o.scope, ui.Question{
		Heading: i18n.T("Cancel this command?"), Action: i18n.T("Cancel the command"), Keep: i18n.T("Let it run"), Harmful: true, Qube: c.Qube, Label: o.labels[c.Qube],
		Body: i18n.T("It is ended with all its processes, and the qube is told. What it did before stays done."),
	}, func() {
		o.do(o.scope, button, func(ctx context.Context, client *dbus.Client) error { return client.CancelCommand(ctx, c.Number) }, func(error) {})
	})
}

// linkedQubeRow leads to the qube's own page.
func (w *window) linkedQubeRow(around *ui.Scope) shownRow[dbus.Qube] {
	scope := ui.NewScope(around)
	row := newQubeRow()
	name := ""
	row.SetActivatable(true)
	scope.Bind(row, row.ConnectActivated(func() { w.openQube(name) }))
	return shownRow[dbus.Qube]{widget: row, close: scope.Close, set: func(q dbus.Qube) {
		name = q.Name
		row.show(q, w.lasts.of(q.Name))
	}}
}

// qubeRow is a qube: colour and name, what it did last, how it is reached.
type qubeRow struct {
	ui.Row
	swatch *ui.Chip
	state  ui.Pill
}

func newQubeRow() qubeRow {
	r := qubeRow{ui.NewRow(), ui.NewChip(), ui.NewPill()}
	r.AddPrefix(r.swatch)
	r.AddSuffix(r.state)
	return r
}

func (r qubeRow) show(q dbus.Qube, last dbus.Record) {
	r.swatch.SetColour(q.Label)
	r.Set(q.Name, words.QubeLine(q, last))
	look := words.Connection(q)
	r.state.Set(look.Word, string(look.Tone))
	ui.Name(r, i18n.T("%s, label %s, %s", q.Name, q.Label, look.Word))
}
