//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/client/transfer"
	"qvmremote/ui/i18n"
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
	l, _ := t.progress.state(true, t.progress.since)
	n := notice(l.Word, i18n.T("Open Qubes Remote to see what came of a command for dom0."))
	n.SetDefaultActionAndTarget("app.ended", glib.NewVariantUint64(t.number))
	a.tell(n)
}

// tellMoved tells the desktop how a transfer ended while nobody looked; the page
// with all of them opens from there. Nobody is told of one that they cancelled.
func (a *App) tellMoved(fetches bool, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, transfer.ErrUnderWay) {
		return
	}
	n := notice(moved(fetches, err), i18n.T("Open Qubes Remote to see which one."))
	n.SetDefaultAction("app.moved")
	a.tell(n)
}

// moved is how a transfer ended.
func moved(fetches bool, err error) string {
	switch {
	case err != nil && fetches:
		return i18n.T("A file was not fetched from dom0")
	case err != nil:
		return i18n.T("A file was not sent to dom0")
	case fetches:
		return i18n.T("A file has arrived from dom0")
	}
	return i18n.T("A file has arrived in dom0")
}

// tell shows a notification, beside those that are there, unless the person is
// here or wants none.
func (a *App) tell(n *gio.Notification) {
	if !a.Prefs.Notify || a.InFront() {
		return
	}
	id := fmt.Sprintf("ended-%d", len(a.notices))
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

// addEnded adds what such notifications do.
func (a *App) addEnded() {
	moved := gio.NewSimpleAction("moved", nil)
	moved.ConnectActivate(func(*glib.Variant) {
		a.App.Activate()
		if a.window != nil {
			a.window.Show("files")
		}
	})
	a.App.AddAction(moved)
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
