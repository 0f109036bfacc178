//go:build gtk

package admin

import (
	"context"
	"time"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// qubeMay is what a qube may do: by which rules, for how long, and whether it is
// suspended.
type qubeMay struct {
	*qubePane
	rules, grant, suspended ui.Row
	resume, edit            *gtk.Button
}

func newQubeMay(p *qubePane) *qubeMay {
	m := &qubeMay{qubePane: p, rules: ui.NewRow(), grant: ui.NewRow(), suspended: ui.NewRow(),
		resume: gtk.NewButtonWithLabel(i18n.T("Resume")), edit: gtk.NewButtonWithLabel(i18n.T("Edit…"))}
	for _, r := range []ui.Row{m.suspended, m.rules, m.grant} {
		r.AddCSSClass("property")
		p.May.Add(r)
	}
	m.resume.SetVAlign(gtk.AlignCenter)
	m.suspended.AddSuffix(m.resume)
	m.grant.AddSuffix(p.Limit)
	m.edit.SetVAlign(gtk.AlignCenter)
	m.edit.SetTooltipText(i18n.T("Read, edit and try the rules"))
	m.rules.AddSuffix(m.edit)
	s := p.qubes.scope
	s.Bind(m.edit, m.edit.ConnectClicked(func() { m.window.editRules(m.now.Name) }))
	s.Bind(m.resume, m.resume.ConnectClicked(m.resumeIt))
	limit := gio.NewSimpleAction("limit", glib.NewVariantType("s"))
	s.Bind(limit, limit.ConnectActivate(func(name *glib.Variant) { m.limitIt(name.String()) }))
	group := gio.NewSimpleActionGroup()
	group.AddAction(limit)
	p.Root.InsertActionGroup("qube", group)
	s.OnClose(func() { p.Root.InsertActionGroup("qube", nil) })
	return m
}

func (m *qubeMay) show(q dbus.Qube) {
	m.rules.Set(i18n.T("Rules"), words.Rules(q))
	m.grant.Set(i18n.T("Its key counts"), words.Grant(q))
	m.suspended.Set(i18n.T("Suspended"), words.Suspended(q))
	m.suspended.SetVisible(!q.SuspendedAt.IsZero())
	m.grant.SetVisible(q.KeyState != "none")
	m.May.SetVisible(q.KeyState != "none" || q.Rules != "none")
	m.Limit.SetSensitive(m.usable())
	m.edit.SetSensitive(m.usable())
}

func (m *qubeMay) resumeIt() {
	name := m.now.Name
	m.do(m.scope, m.resume, func(ctx context.Context, c *dbus.Client) error {
		_, err := c.ResumeQube(ctx, name)
		return err
	}, func(err error) {
		if err == nil {
			m.toast(i18n.T("Requests of %s are taken again.", name))
		}
	})
}

// limits are those of the menu, by the names that resources/admin/qubes.ui has.
var limits = map[string]dbus.Limit{
	"hour": {For: time.Hour}, "day": {For: 8 * time.Hour}, "ten": {Count: 10}, "boot": {UntilReboot: true}, "none": {},
}

func (m *qubeMay) limitIt(choice string) {
	limit, ok := limits[choice]
	name := m.now.Name
	if !ok {
		return
	}
	m.do(m.scope, m.Limit, func(ctx context.Context, c *dbus.Client) error {
		_, err := c.LimitQube(ctx, name, limit)
		return err
	}, func(error) {})
}
