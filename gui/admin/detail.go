//go:build gtk

package admin

import (
	"context"
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// detailPane is one request or event in full.
type detailPane struct {
	*activity
	title string    // "" while nothing is open
	scope *ui.Scope // of this look

	icon   *gtk.Image
	chip   *ui.Chip
	pill   ui.Pill
	script *ui.Output
	out    *ui.Output
	errors *ui.Output
	facts  rows[words.Fact]
	steps  moments
	proof  ui.Row
	check  *gtk.Button
	text   string // the whole command
	point  string // the checkpoint
}

func newDetailPane(a *activity) *detailPane {
	d := &detailPane{activity: a, scope: ui.NewScope(a.scope), icon: gtk.NewImage(), chip: ui.NewChip(), pill: ui.NewPill()}
	d.chip.SetHExpand(true)
	d.chip.AddCSSClass("title-2")
	d.icon.SetPixelSize(20)
	a.Head.Append(d.icon)
	a.Head.Append(d.chip)
	a.Head.Append(d.pill)
	for group, o := range map[*adw.PreferencesGroup]**ui.Output{a.Script: &d.script, a.Output: &d.out, a.Errors: &d.errors} {
		*o = ui.NewOutput(a.scope, group.Title())
		group.Add(*o)
	}
	d.facts = rows[words.Fact]{group: a.Facts, make: func() shownRow[words.Fact] { return newFactRow(a.desk, a.scope) }}
	d.steps.rows = rows[dbus.Record]{group: a.Steps, make: d.newStepRow}
	d.proof = ui.NewRow()
	d.check = gtk.NewButtonWithLabel(i18n.T("Verify"))
	d.check.SetVAlign(gtk.AlignCenter)
	d.proof.AddSuffix(d.check)
	a.Proof.Add(d.proof)
	a.scope.Bind(d.check, d.check.ConnectClicked(func() { a.verify(d.point) }))
	a.scope.Bind(a.CopyScript, a.CopyScript.ConnectClicked(func() {
		a.CopyScript.Clipboard().SetText(d.text)
		a.toast(i18n.T("The command was copied."))
	}))
	return d
}

// newFactRow is a line of details; what is code can be copied.
func newFactRow(d *desk, around *ui.Scope) shownRow[words.Fact] {
	scope := ui.NewScope(around)
	row := ui.NewRow()
	row.AddCSSClass("property")
	copy := ui.NewIconButton("qr-copy-symbolic", i18n.T("Copy"))
	row.AddSuffix(copy)
	value := ""
	scope.Bind(copy, copy.ConnectClicked(func() {
		copy.Clipboard().SetText(value)
		d.toast(i18n.T("Copied."))
	}))
	return shownRow[words.Fact]{widget: row, close: scope.Close, set: func(f words.Fact) {
		value = f.Value
		row.Set(f.Label, f.Value)
		copy.SetVisible(f.Code)
		ui.Name(copy, i18n.T("Copy: %s", f.Label))
	}}
}

func (d *detailPane) newStepRow() shownRow[dbus.Record] {
	line := ui.NewTimelineRow()
	line.WithoutQube()
	return d.steps.row(line, false, func(r dbus.Record) ui.Moment {
		return moment(r, "", r.Time.Local().Format("15:04:05.000"))
	})
}

// begin opens the request or the event of a record.
func (d *detailPane) begin(r dbus.Record) {
	d.scope.Close()
	d.scope = ui.NewScope(d.activity.scope)
	d.title = i18n.C("one entry of the record", "Record")
	if r.Number != 0 {
		d.title = i18n.T("Command")
	}
	d.show([]dbus.Record{r}, r)
	d.Root.SetVisibleChildName("detail")
	d.Detail.VAdjustment().SetValue(0)
	// The row has no more than it shows; the rest is fetched.
	look(d.desk, d.scope, func(ctx context.Context, c *dbus.Client) ([]dbus.Record, error) { return story(ctx, c, r) },
		func(records []dbus.Record, err error) {
			if err != nil {
				d.toast(words.Error(err))
				return
			}
			d.show(records, r)
		})
}

// maxSteps bounds the records of one request that are shown.
const maxSteps = 100

// story is all records of the request that r belongs to, the oldest first, or r
// alone.
func story(ctx context.Context, c *dbus.Client, r dbus.Record) ([]dbus.Record, error) {
	if r.Number == 0 {
		whole, err := c.GetRecord(ctx, r.Seq)
		return []dbus.Record{whole}, err
	}
	var records []dbus.Record
	for step, err := range c.Audit(ctx, dbus.Filter{Number: r.Number}, 0) {
		if err != nil {
			return nil, err
		}
		records = append(records, step)
		// Nothing comes before the claim.
		if step.Event == "claim" || len(records) == maxSteps {
			break
		}
	}
	slices.Reverse(records)
	return records, nil
}

// show shows the records of one request or event; row is what was opened.
func (d *detailPane) show(records []dbus.Record, row dbus.Record) {
	whole := words.Join(records...)
	if whole.Event == "" {
		whole = row
	}
	look := words.Event(whole)
	d.icon.SetFromIconName(look.Icon)
	ui.SetTone(d.icon, string(look.Tone))
	if whole.Qube == "" {
		d.chip.SetName("dom0")
	} else {
		d.chip.Set(whole.Qube, d.labels[whole.Qube])
	}
	d.pill.Set(look.Word, string(look.Tone))
	d.text, d.point = whole.Command, whole.Checkpoint
	d.script.Set(whole.Command)
	d.Script.SetVisible(whole.Command != "")
	showExcerpt := func(group *adw.PreferencesGroup, o *ui.Output, head, tail string, left int64) {
		o.SetEscaped(words.Excerpt(head, tail, left), whole.Escaped)
		group.SetVisible(head != "")
	}
	showExcerpt(d.Output, d.out, whole.OutHead, whole.OutTail, whole.OutLeft)
	showExcerpt(d.Errors, d.errors, whole.ErrHead, whole.ErrTail, whole.ErrLeft)
	d.facts.show(words.Facts(whole))
	d.steps.show(records)
	d.Steps.SetVisible(len(records) > 1)
	d.proof.Set(i18n.T("Checkpoint"), whole.Checkpoint)
	d.Proof.SetVisible(whole.Checkpoint != "")
}

// end goes back to the list.
func (d *detailPane) end() {
	d.scope.Close()
	d.title = ""
	d.Root.SetVisibleChildName("list")
}
