//go:build gtk

package admin

import (
	"context"
	"slices"
	"time"

	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// pressing are the keys that press what has the focus.
var pressing = []uint{gdk.KEY_Return, gdk.KEY_KP_Enter, gdk.KEY_ISO_Enter, gdk.KEY_space, gdk.KEY_KP_Space}

// listen has the guard know what it goes by, and the buttons ask it.
func (p *requestPane) listen() {
	s, top := p.requests.scope, p.window.Top()
	s.Bind(top, top.NotifyProperty("is-active", func() {
		p.guard.Focus(top.IsActive())
		p.refresh()
	}))
	p.guard.Focus(top.IsActive())
	s.Bind(p.One, p.One.ConnectMap(p.see))
	s.Bind(p.One, p.One.ConnectUnmap(func() {
		p.guard.Hide()
		p.refresh()
	}))
	p.watchKeys(s, top)
	on := func(b *gtk.Button, f func()) { s.Bind(b, b.ConnectClicked(f)) }
	on(p.Deny, func() { p.denyIt(false, i18n.T("Denied.")) })
	on(p.DenySession, func() { p.denyIt(true, i18n.T("Denied, and the same until dom0 reboots.")) })
	for _, a := range p.approvals() {
		on(a.button, func() { p.approveIt(a.scope, a.said) })
	}
	p.refresh()
}

// approval is a button that approves, and what of.
type approval struct {
	button *gtk.Button
	scope  dbus.Scope
	said   string // afterwards
}

// briefly is how long one is not asked again.
const briefly = 10 * time.Minute

// approvals are all of them. The longer ones are on the page, not in a menu: one
// that opens takes the focus from the window, and with it the guard's word.
func (p *requestPane) approvals() []approval {
	return []approval{
		{p.Approve, dbus.Scope{}, i18n.T("Approved: it runs now.")},
		{p.CommandWhile, dbus.Scope{For: briefly}, i18n.T("Approved, and the same command for 10 minutes.")},
		{p.CommandBoot, dbus.Scope{UntilReboot: true}, i18n.T("Approved, and the same command until dom0 reboots.")},
		{p.QubeWhile, dbus.Scope{Qube: true, For: briefly}, i18n.T("Approved, and whatever the qube asks for 10 minutes.")},
		{p.QubeBoot, dbus.Scope{Qube: true, UntilReboot: true}, i18n.T("Approved, and whatever the qube asks until dom0 reboots.")},
	}
}

// watchKeys tells the guard of the keys that press, wherever they do.
func (p *requestPane) watchKeys(s *ui.Scope, top *gtk.Window) {
	keys := gtk.NewEventControllerKey()
	keys.SetPropagationPhase(gtk.PhaseCapture)
	s.Bind(keys, keys.ConnectKeyPressed(func(key, _ uint, _ gdk.ModifierType) bool {
		if slices.Contains(pressing, key) {
			p.guard.KeyDown()
		}
		return false
	}))
	s.Bind(keys, keys.ConnectKeyReleased(func(key, _ uint, _ gdk.ModifierType) {
		if slices.Contains(pressing, key) {
			p.guard.KeyUp()
			p.refresh()
		}
	}))
	top.AddController(keys)
	s.OnClose(func() { top.RemoveController(keys) })
}

// see says that a person can see the request now.
func (p *requestPane) see() {
	if p.open && p.read && p.One.Mapped() {
		p.guard.Show(p.now.Number)
	}
	p.refresh()
}

// refresh has the buttons work where a press counts, and looks again when that
// will change by itself.
func (p *requestPane) refresh() {
	p.forget()
	p.forget = func() {}
	deny := p.open && !p.busy && p.usable() && p.guard.Ready()
	for _, b := range []*gtk.Button{p.Deny, p.DenySession} {
		b.SetSensitive(deny)
	}
	for _, a := range p.approvals() {
		a.button.SetSensitive(deny && p.sound)
	}
	p.More.SetSensitive(deny && p.sound)
	if left := p.guard.Left(); left > 0 {
		p.forget = ui.After(p.requests.scope, uint(left/time.Millisecond)+1, p.refresh)
	}
}

// approveIt lets run what is shown, and nothing else: it is named by the hash of
// these bytes.
func (p *requestPane) approveIt(scope dbus.Scope, said string) {
	number, hash := p.now.Number, p.hash
	if !p.sound {
		return
	}
	p.decide(func(ctx context.Context, c *dbus.Client) error { return c.Approve(ctx, number, hash, scope) }, said)
}

func (p *requestPane) denyIt(untilReboot bool, said string) {
	number := p.now.Number
	p.decide(func(ctx context.Context, c *dbus.Client) error { return c.Deny(ctx, number, untilReboot) }, said)
}

// decide sends a decision about what is shown, if a press counts now, or once the
// key is let go.
func (p *requestPane) decide(order func(context.Context, *dbus.Client) error, said string) {
	p.guard.Press(func() { p.send(order, said) })
	p.refresh()
}

func (p *requestPane) send(order func(context.Context, *dbus.Client) error, said string) {
	p.busy = true
	p.say("")
	number := p.now.Number
	ask := func(ctx context.Context, c *dbus.Client) (struct{}, error) { return struct{}{}, order(ctx, c) }
	// The look may be over before the answer is there: then it is said all the same.
	act(p.desk, p.requests.scope, ask, func(_ struct{}, err error) {
		still := p.open && p.now.Number == number
		if still {
			p.busy = false
		}
		switch {
		case err == nil:
			p.requests.decided = number
			p.toast(said)
			if still {
				p.end()
			}
		case still:
			p.say(words.Error(err))
			p.guard.Again()
			p.refresh()
			p.showAll()
		default:
			p.toast(words.Error(err))
		}
	})
}
