//go:build gtk

package admin

import (
	"context"
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gio/v2"
	"github.com/diamondburned/gotk4/pkg/glib/v2"

	"qvmremote/dbus"
	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// notice is something for the desktop to say. Desktops take the body for markup:
// nothing that a qube wrote belongs there.
func notice(title, body string) *gio.Notification {
	n := gio.NewNotification(title)
	n.SetBody(body)
	return n
}

// tell tells the desktop what happens while nobody looks; the Overview has more.
func (a *App) tell(id, title, body string) {
	n := notice(title, body)
	n.SetDefaultActionAndTarget("app.show", glib.NewVariantString("overview"))
	a.App.SendNotification(id, n)
}

func requestNotice(number uint64) string { return fmt.Sprintf("request-%d", number) }

// tellRequests tells the desktop of each request that begins to wait while
// nobody looks at the program, where that is wanted, until it waits no more.
func (a *App) tellRequests(s dbus.Snapshot) {
	if s.Stale {
		return // they are not told then
	}
	waits := map[uint64]bool{}
	for _, r := range s.Requests {
		waits[r.Number] = true
		if !a.asked[r.Number] && a.Prefs.Ask && !a.InFront() {
			a.tellRequest(r)
		}
	}
	for number := range a.asked {
		if !waits[number] {
			a.App.WithdrawNotification(requestNotice(number))
		}
	}
	a.asked = waits
}

// tellRequest offers to open it, and to deny it unseen; what would run is seen
// before it is approved, so that is not offered.
func (a *App) tellRequest(r dbus.Request) {
	n := notice(i18n.T("%s asks to run something in dom0", queue.Escape(r.Qube, 64)),
		i18n.T("Open it to see what. It is denied unless you approve it by %s.", r.Expires.Local().Format("15:04:05")))
	number := glib.NewVariantUint64(r.Number)
	n.SetPriority(gio.NotificationPriorityHigh)
	n.SetDefaultActionAndTarget("app.request", number)
	n.AddButtonWithTarget(i18n.T("Deny"), "app.deny", number)
	a.App.SendNotification(requestNotice(r.Number), n)
}

// addRequestActions are what such a notification does.
func (a *App) addRequestActions() {
	open := gio.NewSimpleAction("request", glib.NewVariantType("t"))
	open.ConnectActivate(func(number *glib.Variant) {
		a.App.Activate()
		if a.window != nil {
			a.window.openRequest(number.Uint64())
		}
	})
	deny := gio.NewSimpleAction("deny", glib.NewVariantType("t"))
	deny.ConnectActivate(func(number *glib.Variant) { a.deny(number.Uint64()) })
	a.App.AddAction(open)
	a.App.AddAction(deny)
}

// deny denies a request that nobody has looked at.
func (a *App) deny(number uint64) {
	d := &desk{now: a.lastSeen.Snapshot, asking: a.lastSeen.Asking}
	ask := func(ctx context.Context, c *dbus.Client) (struct{}, error) {
		return struct{}{}, c.Deny(ctx, number, false)
	}
	act(d, a.Scope, ask, func(_ struct{}, err error) {
		if err == nil {
			return
		}
		n := notice(i18n.T("The request was not denied"), i18n.T("Open it to see what became of it."))
		n.SetDefaultActionAndTarget("app.request", glib.NewVariantUint64(number))
		a.App.SendNotification(requestNotice(number), n)
	})
}
