//go:build gtk

package client

import (
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

// tellEnd tells the desktop how a command ended while nobody looked.
func (a *App) tellEnd(t *task) {
	if !a.Prefs.Notify || a.InFront() {
		return
	}
	l, _ := t.progress.state(true, t.progress.since)
	n := notice(l.Word, "Open Qubes Remote to see what came of a command for dom0.")
	n.SetDefaultActionAndTarget("app.show", glib.NewVariantString("run"))
	a.App.SendNotification("ended", n)
}
