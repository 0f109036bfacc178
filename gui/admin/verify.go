//go:build gtk

package admin

import (
	"context"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/ui"
)

type verifyView struct {
	Dialog      *adw.Window
	Close       *gtk.Button
	Check       *gtk.Button
	Checkpoints *gtk.TextView
	Waiting     *gtk.Spinner
	Answer      *gtk.Box
	Icon        *gtk.Image
	Word        *gtk.Label
	Text        *gtk.Label
}

// verify opens the dialog that checks the record, with a checkpoint in it.
func (a *activity) verify(checkpoint string) {
	var v verifyView
	if err := ui.Fill(&v, "/org/qvmremote/Admin/ui/verify.ui"); err != nil {
		a.toast(err.Error())
		return
	}
	s := ui.NewScope(a.scope)
	ui.Transient(s, v.Dialog, a.over())
	s.Bind(v.Close, v.Close.ConnectClicked(s.Close))
	s.Bind(v.Check, v.Check.ConnectClicked(func() { v.check(a.desk, s) }))
	v.Checkpoints.Buffer().SetText(checkpoint)
	v.Dialog.Present()
	if checkpoint != "" {
		v.check(a.desk, s)
	}
}

func (v *verifyView) check(d *desk, s *ui.Scope) {
	buffer := v.Checkpoints.Buffer()
	start, end := buffer.Bounds()
	checkpoints := strings.Fields(buffer.Text(start, end, false))
	v.Check.SetSensitive(false)
	v.Waiting.SetSpinning(true)
	v.Answer.SetVisible(false)
	act(d, s, func(ctx context.Context, c *dbus.Client) (dbus.Verification, error) {
		return c.VerifyAudit(ctx, checkpoints)
	},
		func(found dbus.Verification, err error) {
			v.Check.SetSensitive(true)
			v.Waiting.SetSpinning(false)
			v.Answer.SetVisible(true)
			look, text := words.Verified(found, err)
			v.Icon.SetFromIconName(look.Icon)
			ui.SetTone(v.Icon, string(look.Tone))
			v.Word.SetText(say.Sentence(look.Word))
			ui.SetTone(v.Word, string(look.Tone))
			v.Text.SetText(text)
		})
}
