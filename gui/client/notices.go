//go:build gtk

package client

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"
)

// notice is something for the desktop to say. Desktops take the body for markup:
// nothing that a program wrote belongs there.
func notice(title, body string) *gio.Notification {
	n := gio.NewNotification(title)
	n.SetBody(body)
	return n
}

// tellEnd tells the desktop how a command ended while nobody looked, each one by
// itself: the tab it was run in opens from there.
func (a *App) tellEnd(t *task) {
	if !a.Prefs.Notify || a.InFront() {
		return
	}
	l, _ := t.progress.state(true, t.progress.since)
	n := notice(l.Word, "Open Qubes Remote to see what came of a command for dom0.")
	n.SetDefaultActionAndTarget("app.ended", glib.NewVariantUint64(t.number))
	id := fmt.Sprintf("ended-%d", t.number)
	a.notices = append(a.notices, id)
	a.App.SendNotification(id, n)
}

// takeBack takes back what the desktop was told: the person is here to see it,
// or the program ends and nothing can be opened from it any more.
func (a *App) takeBack() {
	for _, id := range a.notices {
		a.App.WithdrawNotification(id)
	}
	a.notices = nil
}

// addEnded is what such a notification does.
func (a *App) addEnded() {
	ended := gio.NewSimpleAction("ended", glib.NewVariantType("t"))
	ended.ConnectActivate(func(number *glib.Variant) {
		a.App.Activate()
		if a.window == nil {
			return
		}
		a.window.Show("run")
		if r, ok := a.window.front().(*runPage); ok {
			r.choose(number.Uint64())
		}
	})
	a.App.AddAction(ended)
}
