//go:build gtk

package client

import (
	"context"
	"errors"
	"strings"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// desk is what pages and dialogs work with.
type desk struct {
	queue *client.Client
	now   standing.Standing // how the qube stands
	told  bool              // now is known

	bell  standing.Bell      // asks for a look at how the qube stands
	over  func() *gtk.Window // the window that dialogs stand before
	toast func(text string)
}

// usable reports whether requests can be made now.
func (d *desk) usable() bool { return d.told && d.now.Trouble == nil && d.now.HasKey() }

// look does what waits, off the main loop, and hands what it found to done on
// it, unless the scope was closed meanwhile.
func look[T any](s *ui.Scope, ask func(context.Context) (T, error), done func(T, error)) {
	ui.Async(s, func(ctx context.Context) func() {
		answer, err := ask(ctx)
		return func() { done(answer, err) }
	})
}

// failed says what went wrong. What is in the way of that may be in the way of all:
// how the qube stands is looked at.
func (d *desk) failed(err error) {
	d.toast(sentence(err))
	d.bell.Ring()
}

// do is look for what a person just asked for and that answers nothing. The
// widget is insensitive until it is done; what goes wrong is said.
func (d *desk) do(s *ui.Scope, w gtk.Widgetter, order func(context.Context) error, done func(error)) {
	base := gtk.BaseWidget(w)
	base.SetSensitive(false)
	ask := func(ctx context.Context) (struct{}, error) { return struct{}{}, order(ctx) }
	look(s, ask, func(_ struct{}, err error) {
		base.SetSensitive(true)
		if err != nil {
			d.failed(err)
		}
		done(err)
	})
}

// tidy tidies the queue and the history, as qvm-remote does after it has shown
// what came of a command; see [client.Client.Tidy] for how often. It goes on
// until the scope is closed.
func (d *desk) tidy(s *ui.Scope) { go d.queue.Tidy(s.Context()) }

// ask is a question before something is done.
func (d *desk) ask(s *ui.Scope, q ui.Question, yes func()) {
	if err := ui.Ask(s, d.over(), q, yes); err != nil {
		d.toast(err.Error())
	}
}

// sentence says what went wrong.
func sentence(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return i18n.T("It was given up.")
	case errors.Is(err, client.ErrNoKey):
		return i18n.T("This qube has no key yet. Make one on the page Key.")
	}
	parts := strings.Split(err.Error(), ": ")
	for i, part := range parts {
		parts[i] = i18n.Known(part)
	}
	return say.Sentence(queue.Plain(strings.Join(parts, ": "), 1000))
}
