//go:build gtk

package client

import (
	"context"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/backup"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// createForm asks for what a new backup needs.
type createForm struct {
	page    *backupPage
	dir     ui.Row
	with    *gtk.Switch // the key
	withRow ui.Row
	first   *gtk.PasswordEntry
	again   *gtk.PasswordEntry
	rows    [2]ui.Row // of the two
	button  *gtk.Button
	chooser *gtk.FileChooserNative
}

func newCreateForm(b *backupPage) *createForm {
	f := &createForm{page: b, dir: ui.NewRow(), with: gtk.NewSwitch(), withRow: ui.NewRow(), first: newPassphrase(i18n.T("Passphrase")),
		again: newPassphrase(i18n.T("Passphrase, once more")), rows: [2]ui.Row{ui.NewRow(), ui.NewRow()}, button: gtk.NewButtonWithLabel(i18n.T("Create backup"))}
	choose := gtk.NewButtonWithLabel(i18n.T("Choose…"))
	choose.SetVAlign(gtk.AlignCenter)
	ui.Name(choose, i18n.T("Folder: choose"))
	f.dir.AddSuffix(choose)
	f.with.SetVAlign(gtk.AlignCenter)
	ui.Name(f.with, i18n.T("With the key, encrypted"))
	f.withRow.AddSuffix(f.with)
	f.withRow.SetActivatableWidget(f.with)
	f.rows[0].AddSuffix(f.first)
	f.rows[1].AddSuffix(f.again)
	f.button.SetVAlign(gtk.AlignCenter)
	f.button.AddCSSClass("suggested-action")
	act := ui.NewRow()
	act.AddSuffix(f.button)
	for _, r := range []ui.Row{f.dir, f.withRow, f.rows[0], f.rows[1], act} {
		b.Create.Add(r)
	}
	s := b.scope
	s.Bind(choose, choose.ConnectClicked(f.pick))
	s.Bind(f.with, f.with.NotifyProperty("active", f.show))
	s.Bind(f.first, f.first.Connect("changed", f.show))
	s.Bind(f.again, f.again.Connect("changed", f.show))
	s.Bind(f.again, f.again.ConnectActivate(f.create))
	s.Bind(f.button, f.button.ConnectClicked(f.create))
	return f
}

// newPassphrase makes a field that shows nothing of what is typed.
func newPassphrase(name string) *gtk.PasswordEntry {
	e := gtk.NewPasswordEntry()
	e.SetShowPeekIcon(true)
	e.SetVAlign(gtk.AlignCenter)
	e.SetWidthChars(18)
	ui.Name(e, name)
	return e
}

// pick asks for another folder.
func (f *createForm) pick() {
	b := f.page
	c := gtk.NewFileChooserNative(i18n.T("Folder of the backups"), b.over(), gtk.FileChooserActionSelectFolder, i18n.T("Choose"), i18n.T("Cancel"))
	c.SetModal(true)
	f.chooser = c
	c.ConnectResponse(func(response int) {
		f.chooser = nil
		if response == int(gtk.ResponseAccept) && c.File() != nil && c.File().Path() != "" {
			b.dir = c.File().Path()
			b.report()
			b.shelf.begin()
		}
	})
	c.Show()
}

// show shows what was chosen, and whether that is enough.
func (f *createForm) show() {
	b := f.page
	has := b.now.HasKey()
	f.dir.Set(i18n.T("Folder"), b.dir)
	text := i18n.T("Whoever has the file and the passphrase has the key.")
	if !has {
		text = i18n.T("This qube has no key yet.")
	} else if !f.with.Active() {
		text = i18n.T("The key is left out.")
	}
	f.withRow.Set(i18n.T("With the key, encrypted"), text)
	f.withRow.SetSensitive(has)
	with := has && f.with.Active()
	short, differ := len(f.first.Text()) < backup.MinPassphrase, f.first.Text() != f.again.Text()
	text = ""
	if f.again.Text() != "" && differ {
		text = i18n.T("The two differ.")
	}
	f.rows[0].Set(i18n.T("Passphrase"), i18n.N(backup.MinPassphrase, "At least %d character", "At least %d characters", backup.MinPassphrase))
	f.rows[1].Set(i18n.T("Once more"), text)
	for _, r := range f.rows {
		r.SetVisible(with)
	}
	f.button.SetSensitive(b.idle() && (!with || !short && !differ))
}

// clear forgets what was typed.
func (f *createForm) clear() {
	f.first.SetText("")
	f.again.SetText("")
}

func (f *createForm) create() {
	if !f.button.IsSensitive() {
		return
	}
	b := f.page
	pass, said := "", i18n.T("Saving what this qube has…")
	if b.now.HasKey() && f.with.Active() {
		pass, said = f.first.Text(), i18n.T("Encrypting the key, and saving what this qube has…")
	}
	begin(b, said, func(ctx context.Context, k *backup.Keeper) (backup.Made, error) { return k.Create(ctx, pass) },
		func(made backup.Made, err error) {
			if err != nil {
				b.fail(err, "")
				return
			}
			f.clear()
			text := i18n.T("Saved %s with what belongs to them, without any key, in %s.", commands(made.Entries), made.Path)
			if made.Keys {
				text = i18n.T("Saved %s with what belongs to them, with the key, encrypted, in %s.", commands(made.Entries), made.Path)
			}
			b.succeed(text + without(made.LeftOut))
		})
}

// without says what is not in a backup.
func without(left []backup.LeftOut) string {
	const most = 3
	text := ""
	for _, l := range left[:min(len(left), most)] {
		text += " " + i18n.T("Left out: %s", say.Sentence(queue.Plain(queue.Quote(l.Name, 120)+": "+i18n.Known(l.Why), 200)))
	}
	if more := len(left) - most; more > 0 {
		text += " " + i18n.T("Left out: %d more.", more)
	}
	return text
}
