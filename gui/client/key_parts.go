//go:build gtk

package client

import (
	"context"
	"strconv"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// step is one step of the guide: its number, or that it is done.
type step struct {
	row    ui.Row
	number *gtk.Label
	done   *gtk.Image
	title  string
}

func newStep(number int, title string) step {
	s := step{ui.NewRow(), ui.NewLabel(strconv.Itoa(number), "title-3", "dim-label"), gtk.NewImageFromIconName("qr-done-symbolic"), title}
	ui.SetTone(s.done, "good")
	s.number.SetSizeRequest(20, -1)
	s.done.SetSizeRequest(20, -1)
	s.row.AddPrefix(s.number)
	s.row.AddPrefix(s.done)
	return s
}

func (s step) set(done bool, before, after string) {
	s.number.SetVisible(!done)
	s.done.SetVisible(done)
	if done {
		s.row.Set(s.title, after)
		return
	}
	s.row.Set(s.title, before)
}

// showFor is how long the key is to be seen, in ms.
const showFor = 30_000

// secret is the row with the key itself, which is shown for a while.
type secret struct {
	page  *keyPage
	row   ui.Row
	show  *gtk.Button
	of    string // fingerprint of the key
	shown bool
	stop  func() // the time until it is hidden
}

func newSecret(k *keyPage) *secret {
	s := &secret{page: k, row: ui.NewRow(), show: gtk.NewButton(), stop: func() {}}
	copies := ui.NewIconButton("qr-copy-symbolic", i18n.T("Copy the key"))
	s.show.SetVAlign(gtk.AlignCenter)
	s.row.AddCSSClass("property")
	s.row.AddSuffix(s.show)
	s.row.AddSuffix(copies)
	k.Facts.Add(s.row)
	k.scope.Bind(s.show, s.show.ConnectClicked(func() {
		if s.shown {
			s.hide()
			return
		}
		s.read(s.reveal)
	}))
	k.scope.Bind(copies, copies.ConnectClicked(func() {
		s.read(func(key queue.Key) {
			copies.Clipboard().SetText(string(key.Reveal()))
			k.toast(i18n.T("The key is in the clipboard, where every program of this qube can read it."))
		})
	}))
	s.hide()
	return s
}

// read hands on the key.
func (s *secret) read(use func(queue.Key)) {
	k := s.page
	look(k.scope, func(context.Context) (queue.Key, error) { return k.queue.Key() }, func(key queue.Key, err error) {
		if err != nil {
			k.failed(err)
			return
		}
		use(key)
	})
}

func (s *secret) reveal(key queue.Key) {
	s.shown = true
	s.row.Set(i18n.T("The key itself"), string(key.Reveal()))
	s.name(i18n.T("Hide"), i18n.T("Hide the key"))
	s.stop()
	s.stop = ui.After(s.page.scope, showFor, s.hide)
}

// hide takes the key off the screen.
func (s *secret) hide() {
	s.stop()
	s.stop = func() {}
	s.shown = false
	s.row.Set(i18n.T("The key itself"), i18n.T("Not shown"))
	s.name(i18n.T("Show"), i18n.T("Show the key"))
}

func (s *secret) name(label, name string) {
	s.show.SetLabel(label)
	ui.Name(s.show, name)
}

// follow hides a key that is no longer the qube's.
func (s *secret) follow(fingerprint string) {
	if fingerprint != s.of {
		s.of = fingerprint
		s.hide()
	}
}
