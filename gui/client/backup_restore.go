//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/backup"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// compared is a backup that was checked, and held against what is here.
type compared struct {
	backup.Contents
	path    string
	missing int
}

// compare checks a backup, and then asks what to take out of it.
func (b *backupPage) compare(path string) {
	name := filepath.Base(path)
	begin(b, i18n.T("Checking %s…", name), func(ctx context.Context, k *backup.Keeper) (compared, error) {
		c, err := k.Check(ctx, path)
		if err != nil {
			return compared{}, fmt.Errorf("%s: %w", name, err)
		}
		missing, err := k.Missing(c)
		return compared{c, path, missing}, err
	}, func(c compared, err error) {
		if err != nil {
			b.fail(err, i18n.T("Nothing here was changed."))
			return
		}
		b.Bar.SetRevealChild(false)
		b.askRestore(c, backup.Choice{}, nil)
	})
}

// change says what a restore would change.
func (b *backupPage) change(c compared) string {
	text := i18n.T("Made %s in the qube %s.", say.When(c.Made), c.Qube)
	if c.Qube == queue.AnyQube {
		text = i18n.T("Made %s in the qube of an unknown name.", say.When(c.Made))
	}
	switch {
	case c.missing == 0:
		text += " " + i18n.T("All its commands are here already.")
	case c.missing == c.Entries:
		text += " " + i18n.T("It adds %s to the history.", commands(c.missing))
	default:
		text += " " + i18n.T("It adds %s to the history. Already here, and left as they are: %d.", commands(c.missing), c.Entries-c.missing)
	}
	return text + " " + i18n.T("What is here now is saved first, in %s.", b.dir)
}

// restoreView is resources/client/restore.ui.
type restoreView struct {
	Dialog  *adw.Window
	Cancel  *gtk.Button
	Restore *gtk.Button
	Name    *gtk.Label
	Change  *gtk.Label
	More    *adw.PreferencesGroup
	Verdict *gtk.Label
}

// restoreForm is what to take out of a backup besides its history.
type restoreForm struct {
	restoreView
	log, settings, key *gtk.Switch // nil for what it does not hold
	passphrase         *gtk.PasswordEntry
	pass               ui.Row
	replace            bool // this qube has another key
}

// askRestore asks what to take out of a backup; failed says why it asks again.
func (b *backupPage) askRestore(c compared, before backup.Choice, failed error) {
	f := &restoreForm{}
	if err := ui.Fill(&f.restoreView, "/org/qvmremote/Client/ui/restore.ui"); err != nil {
		b.toast(err.Error())
		return
	}
	s := ui.NewScope(b.scope)
	ui.SetText(f.Name, filepath.Base(c.path), 200)
	ui.SetText(f.Change, b.change(c), 600)
	ui.SetText(f.Verdict, sentence(failed), 300)
	ui.SetTone(f.Verdict, "bad")
	f.Verdict.SetVisible(failed != nil)
	b.offer(f, c)
	f.set(before)
	f.show()
	goOn := func() {
		if f.Restore.IsSensitive() {
			choice := f.choice()
			s.Close()
			b.restore(c, choice)
		}
	}
	ui.Transient(s, f.Dialog, b.over())
	if f.key != nil {
		s.Bind(f.key, f.key.NotifyProperty("active", f.show))
		s.Bind(f.passphrase, f.passphrase.Connect("changed", f.show))
		s.Bind(f.passphrase, f.passphrase.ConnectActivate(goOn))
	}
	s.Bind(f.Restore, f.Restore.ConnectClicked(goOn))
	s.Bind(f.Cancel, f.Cancel.ConnectClicked(s.Close))
	f.Restore.GrabFocus()
	if failed != nil && f.key != nil {
		f.passphrase.GrabFocus()
	}
	f.Dialog.Present()
}

// offer makes a row for each thing that the backup holds.
func (b *backupPage) offer(f *restoreForm, c compared) {
	if c.Log {
		f.log = f.add(i18n.T("Log"), i18n.T("Adds those of its lines that are not here."))
	}
	if c.Settings {
		f.settings = f.add(i18n.T("Settings of this program"), i18n.T("In place of those that are here, from the next start on."))
	}
	if !c.Keys {
		return
	}
	text := i18n.T("This qube has none.")
	f.replace = b.now.HasKey() || b.now.KeyProblem != nil
	switch {
	case b.now.HasKey() && b.now.Fingerprint == c.Key:
		text = i18n.T("It is the one that this qube has.")
	case f.replace:
		text = i18n.T("In place of this qube's, which is kept beside it. It has the fingerprint %s; dom0 takes nothing with a key that it does not know.", c.Key)
	}
	f.key = f.add(i18n.T("Key"), text)
	f.passphrase = newPassphrase(i18n.T("Passphrase of the backup"))
	f.pass = ui.NewRow()
	f.pass.Set(i18n.T("Passphrase"), "")
	f.pass.AddSuffix(f.passphrase)
	f.More.Add(f.pass)
}

// add makes a row with a switch.
func (f *restoreForm) add(title, text string) *gtk.Switch {
	row, on := ui.NewRow(), gtk.NewSwitch()
	row.Set(title, text)
	row.SetSubtitleLines(6)
	on.SetVAlign(gtk.AlignCenter)
	ui.Name(on, title)
	row.AddSuffix(on)
	row.SetActivatableWidget(on)
	f.More.Add(row)
	return on
}

func (f *restoreForm) set(c backup.Choice) {
	for on, was := range map[*gtk.Switch]bool{f.log: c.Log, f.settings: c.Settings, f.key: c.Keys} {
		if on != nil {
			on.SetActive(was)
		}
	}
}

func (f *restoreForm) choice() backup.Choice {
	on := func(s *gtk.Switch) bool { return s != nil && s.Active() }
	c := backup.Choice{Log: on(f.log), Settings: on(f.settings), Keys: on(f.key)}
	if c.Keys {
		c.Passphrase, c.ReplaceKey = f.passphrase.Text(), f.replace
	}
	return c
}

// show says whether enough was chosen.
func (f *restoreForm) show() {
	if f.key == nil {
		return
	}
	f.pass.SetVisible(f.key.Active())
	f.Restore.SetSensitive(!f.key.Active() || f.passphrase.Text() != "")
}

func (b *backupPage) restore(c compared, ch backup.Choice) {
	begin(b, i18n.T("Restoring %s…", filepath.Base(c.path)), func(ctx context.Context, k *backup.Keeper) (backup.Restored, error) {
		return k.Restore(ctx, c.path, ch)
	}, func(done backup.Restored, err error) {
		if errors.Is(err, backup.ErrPassphrase) {
			b.Bar.SetRevealChild(false)
			b.askRestore(c, ch, err)
			return
		}
		b.restored(done, err)
	})
}

// restored says what a restore or a pull did, also one that ended early.
func (b *backupPage) restored(done backup.Restored, err error) {
	if done.Settings {
		b.app.LeavePrefs()
	}
	switch {
	case err != nil && done.Safety == "":
		b.fail(err, i18n.T("Nothing here was changed."))
	case err != nil:
		b.fail(err, b.did(done))
	default:
		b.succeed(b.did(done))
	}
}

// did is what a restore did.
func (b *backupPage) did(done backup.Restored) string {
	text := i18n.T("Added %s to the history; already here: %d.", commands(done.Added), done.Present)
	if done.Old > 0 {
		days := int(b.queue.Keeping.Age / (24 * time.Hour))
		text += " " + i18n.N(days, "Older than the history keeps (%d day), so that they go when it is tidied: %d.",
			"Older than the history keeps (%d days), so that they go when it is tidied: %d.", days, done.Old)
	}
	if done.LogLines > 0 {
		text += " " + i18n.N(done.LogLines, "Added %d line to the log.", "Added %d lines to the log.", done.LogLines)
	}
	if done.Settings {
		text += " " + i18n.T("Restored the settings, which count from the next start on.")
	}
	if done.Keys {
		text += " " + i18n.T("Restored the key.")
	}
	return text + " " + i18n.T("What was here before is saved in %s.", done.Safety)
}
