//go:build gtk

package admin

import (
	"context"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
)

// desk is what pages and dialogs work with.
type desk struct {
	now    dbus.Snapshot // what the service said last
	quiet  *dbus.Client
	asking *dbus.Client
	labels map[string]string // of the qubes known, by name

	over  func() *gtk.Window // the window that dialogs stand before
	toast func(text string)
}

// offline is what calls answer while there is no connection.
var offline = dbus.Err(dbus.Disconnected)

// usable reports whether calls make sense now.
func (d *desk) usable() bool { return d.now.Availability == dbus.Available && d.quiet != nil }

// look asks the service for what a page shows, off the main loop, and hands the
// answer to done on it, unless the scope was closed meanwhile. Nobody is asked
// for a password because of it.
func look[T any](d *desk, s *ui.Scope, ask func(context.Context, *dbus.Client) (T, error), done func(T, error)) {
	call(d.quiet, s, ask, done)
}

// act is look for what a person just asked for: polkit may ask back.
func act[T any](d *desk, s *ui.Scope, ask func(context.Context, *dbus.Client) (T, error), done func(T, error)) {
	call(d.asking, s, ask, done)
}

func call[T any](c *dbus.Client, s *ui.Scope, ask func(context.Context, *dbus.Client) (T, error), done func(T, error)) {
	if c == nil {
		var none T
		done(none, offline)
		return
	}
	ui.Async(s, func(ctx context.Context) func() {
		answer, err := ask(ctx, c)
		return func() { done(answer, err) }
	})
}

// do is act for what answers nothing. The widget is insensitive until it is
// done; what goes wrong is said.
func (d *desk) do(s *ui.Scope, w gtk.Widgetter, order func(context.Context, *dbus.Client) error, done func(error)) {
	base := gtk.BaseWidget(w)
	base.SetSensitive(false)
	ask := func(ctx context.Context, c *dbus.Client) (struct{}, error) { return struct{}{}, order(ctx, c) }
	act(d, s, ask, func(_ struct{}, err error) {
		base.SetSensitive(true)
		if err != nil {
			d.toast(words.Error(err))
		}
		done(err)
	})
}

// ask is a question before something is done.
func (d *desk) ask(s *ui.Scope, q ui.Question, yes func()) {
	if err := ui.Ask(s, d.over(), q, yes); err != nil {
		d.toast(err.Error())
	}
}
