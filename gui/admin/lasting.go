//go:build gtk

package admin

import (
	"context"
	"slices"
	"time"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// lasting is what was approved for a qube beyond single requests. It is asked
// for when the record has news, and when the next of it ends.
type lasting struct {
	*qubePane
	rows    rows[dbus.Approval]
	unknown ui.Row
	scope   *ui.Scope // of the looks at this qube
	busy    bool
	again   bool // there was news while it was asked for
	forget  func()
}

func newLasting(p *qubePane) *lasting {
	l := &lasting{qubePane: p, scope: ui.NewScope(p.qubes.scope), forget: func() {}, unknown: ui.NewRow()}
	l.unknown.SetVisible(false)
	p.Lasting.Add(l.unknown)
	l.rows = rows[dbus.Approval]{group: p.Lasting, make: l.row}
	p.qubes.scope.Bind(p.TakeAllBack, p.TakeAllBack.ConnectClicked(func() { l.takeBack(p.TakeAllBack, 0) }))
	return l
}

func (l *lasting) row() shownRow[dbus.Approval] {
	scope := ui.NewScope(l.qubes.scope)
	row, back := ui.NewRow(), gtk.NewButtonWithLabel(i18n.T("Take back"))
	back.SetVAlign(gtk.AlignCenter)
	row.AddSuffix(back)
	number := uint64(0)
	scope.Bind(back, back.ConnectClicked(func() { l.takeBack(back, number) }))
	return shownRow[dbus.Approval]{widget: row, close: scope.Close, set: func(a dbus.Approval) {
		number = a.Number
		title, subtitle := words.Lasting(a, time.Now())
		row.Set(title, subtitle)
		ui.Name(back, i18n.T("Take back: %s", title))
	}}
}

// begin is a look at another qube.
func (l *lasting) begin() {
	l.forget()
	l.forget = func() {}
	l.scope.Close()
	l.scope = ui.NewScope(l.qubes.scope)
	l.busy, l.again = false, false
	l.TakeAllBack.SetSensitive(true) // whatever was under way for the other one
	l.show(nil)
}

// look asks what there is; the service knows while the executor runs.
func (l *lasting) look() {
	if l.busy {
		l.again = true
		return
	}
	if !l.usable() || l.qubePane.desk.now.Manager.State == dbus.Stopped {
		l.show(nil)
		return
	}
	l.busy = true
	name := l.qubePane.now.Name
	look(l.desk, l.scope, func(ctx context.Context, c *dbus.Client) ([]dbus.Approval, error) { return c.ListApprovals(ctx) },
		func(all []dbus.Approval, err error) {
			l.busy = false
			l.show(slices.DeleteFunc(all, func(a dbus.Approval) bool { return a.Qube != name }))
			if err != nil {
				l.unknown.Set(i18n.T("It could not be asked for"), words.Error(err))
				l.unknown.SetVisible(true)
				l.Lasting.SetVisible(true)
			}
			if l.again {
				l.again = false
				l.look()
			}
		})
}

func (l *lasting) show(all []dbus.Approval) {
	l.rows.show(all)
	l.unknown.SetVisible(false)
	l.Lasting.SetVisible(len(all) > 0)
	l.TakeAllBack.SetVisible(len(all) > 1)
	l.forget()
	l.forget = func() {}
	next := time.Duration(0)
	for _, a := range all {
		if a.Left > 0 && (next == 0 || a.Left < next) {
			next = a.Left
		}
	}
	if next > 0 {
		l.forget = ui.After(l.scope, uint(min(next+time.Second, 24*time.Hour)/time.Millisecond), l.look)
	}
}

func (l *lasting) takeBack(b *gtk.Button, number uint64) {
	name := l.qubePane.now.Name
	l.do(l.scope, b, func(ctx context.Context, c *dbus.Client) error {
		_, err := c.RevokeApprovals(ctx, name, number)
		return err
	}, func(error) { l.look() })
}
