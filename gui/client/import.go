//go:build gtk

package client

import (
	"context"
	"errors"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"

	"qvmremote/client"
	"qvmremote/client/standing"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// importView is resources/client/import.ui.
type importView struct {
	Dialog  *adw.Window
	Cancel  *gtk.Button
	Store   *gtk.Button
	Warning *gtk.Label
	Entry   *gtk.PasswordEntry
	Verdict *gtk.Label
}

// importKey asks for a key and stores it.
func (k *keyPage) importKey() {
	var v importView
	if err := ui.Fill(&v, "/org/qvmremote/Client/ui/import.ui"); err != nil {
		k.toast(err.Error())
		return
	}
	s := ui.NewScope(k.scope)
	named, storing := k.now, false
	text := i18n.T("Paste the key, as qvm-remote key show prints it.")
	replaces := named.HasKey() || named.KeyProblem != nil
	switch {
	case named.HasKey():
		text += " " + i18n.T("It replaces the one with the fingerprint %s, which is kept beside it; dom0 must know the new one.", named.Fingerprint)
	case replaces:
		text += " " + i18n.T("It replaces the one that is there and cannot be used; dom0 must know the new one.")
	}
	if replaces {
		v.Store.AddCSSClass("destructive-action")
		v.Store.SetLabel(i18n.T("Replace"))
	} else {
		v.Store.AddCSSClass("suggested-action")
	}
	v.Warning.SetText(text)
	typed := func() {
		key, err := queue.ParseKey([]byte(v.Entry.Text()))
		v.Store.SetSensitive(err == nil && !storing)
		ui.SetTone(v.Verdict, "")
		switch {
		case v.Entry.Text() == "":
			v.Verdict.SetText("")
		case err != nil:
			ui.SetText(v.Verdict, sentence(err), 300)
			ui.SetTone(v.Verdict, "bad")
		default:
			v.Verdict.SetText(i18n.T("Fingerprint %s", key.Fingerprint()))
		}
	}
	store := func() {
		key, err := queue.ParseKey([]byte(v.Entry.Text()))
		if err != nil || storing { // Return on the entry comes here too
			return
		}
		storing = true
		v.Store.SetSensitive(false)
		look(s, func(ctx context.Context) (struct{}, error) {
			return struct{}{}, k.storeKey(ctx, key, named)
		}, func(_ struct{}, err error) {
			storing = false
			if err != nil { // a toast would be behind the dialog
				v.Store.SetSensitive(true)
				ui.SetText(v.Verdict, sentence(err), 300)
				ui.SetTone(v.Verdict, "bad")
				return
			}
			s.Close()
			k.distrust()
			k.toast(i18n.T("The key is stored."))
		})
	}
	ui.Transient(s, v.Dialog, k.over())
	s.Bind(v.Entry, v.Entry.Connect("changed", typed))
	s.Bind(v.Entry, v.Entry.ConnectActivate(store))
	s.Bind(v.Store, v.Store.ConnectClicked(store))
	s.Bind(v.Cancel, v.Cancel.ConnectClicked(s.Close))
	v.Entry.GrabFocus() // else Return would press Cancel
	v.Dialog.Present()
}

// storeKey stores the key in place of the one that was spoken of, unless the
// dialog was left meanwhile.
func (k *keyPage) storeKey(ctx context.Context, key queue.Key, named standing.Standing) error {
	if err := k.queue.Prepare(); err != nil {
		return err
	}
	if err := unmoved(k.queue, named); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return k.queue.ImportKey(key)
}

// unmoved is an error where the key is no longer the one that was spoken of: it
// would be replaced unasked.
func unmoved(c *client.Client, named standing.Standing) error {
	now, err := c.Key()
	switch {
	case errors.Is(err, client.ErrNoKey):
		return nil // nothing is replaced
	case err != nil && named.KeyProblem != nil, err == nil && now.Fingerprint() == named.Fingerprint:
		return nil
	}
	return errors.New(i18n.T("this qube's key has become another one meanwhile, and was left; to replace that one, begin again"))
}
