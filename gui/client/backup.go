//go:build gtk

package client

import (
	"context"
	"errors"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/backup"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// backupView is resources/client/backup.ui.
type backupView struct {
	Root     *gtk.Box
	Create   *adw.PreferencesGroup
	Archives *adw.PreferencesGroup
	Git      *adw.PreferencesGroup
	Bar      *gtk.Revealer
	Tone     *gtk.Box
	Icon     *gtk.Image
	Said     *gtk.Label
	GiveUp   *gtk.Button
	Dismiss  *gtk.Button
}

// backupPage saves what this qube has into a file or a git repository, and puts
// it back. It does one thing at a time.
type backupPage struct {
	backupView
	*desk
	app   *App
	scope *ui.Scope

	dir   string    // where archives are
	run   *ui.Scope // of what is done now; nil for nothing
	form  *createForm
	shelf *shelf
	git   *gitForm
}

func newBackup(w *window) (page, error) {
	b := &backupPage{desk: w.desk, app: w.app, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&b.backupView, "/org/qvmremote/Client/ui/backup.ui"); err != nil {
		return nil, err
	}
	k, err := backup.New(b.queue)
	if err != nil {
		return nil, err
	}
	b.dir = k.Dir
	b.form, b.shelf, b.git = newCreateForm(b), newShelf(b), newGitForm(b)
	s := b.scope
	s.Bind(b.GiveUp, b.GiveUp.ConnectClicked(b.cancel))
	s.Bind(b.Dismiss, b.Dismiss.ConnectClicked(func() { b.Bar.SetRevealChild(false) }))
	b.report()
	return b, nil
}

func (b *backupPage) Widget() gtk.Widgetter { return b.Root }
func (b *backupPage) Narrow(narrow bool)    { b.shelf.narrow(narrow) }
func (b *backupPage) Inner() string         { return "" }
func (b *backupPage) Leave()                {}
func (b *backupPage) find()                 {}
func (b *backupPage) open(string)           {}
func (b *backupPage) close()                { b.scope.Close() }

// Shown follows the folder, which programs other than this one write into.
func (b *backupPage) Shown() {
	b.shelf.begin()
	b.git.read()
}

// Hidden keeps no passphrase on the screen.
func (b *backupPage) Hidden() {
	b.shelf.end()
	b.form.clear()
}

// report shows what can be done.
func (b *backupPage) report() {
	b.form.show()
	b.shelf.show()
	b.git.show()
}

// idle reports whether something can be begun.
func (b *backupPage) idle() bool { return b.run == nil }

// keeper is for one thing that is done in the folder that is shown now.
func (b *backupPage) keeper() (*backup.Keeper, error) {
	k, err := backup.New(b.queue)
	if err == nil {
		k.Dir = b.dir
	}
	return k, err
}

// workLimit bounds how long anything here may take.
const workLimit = time.Hour

// begin does something off the main loop, which a person can give up. What came
// of it is told all the same: it may have been done just before.
func begin[T any](b *backupPage, said string, work func(context.Context, *backup.Keeper) (T, error), done func(T, error)) {
	k, err := b.keeper()
	switch {
	case !b.idle():
		return
	case err != nil:
		b.fail(err, "")
		return
	}
	run := ui.NewScope(b.scope)
	b.run = run
	b.tell("qr-running-symbolic", "", said)
	b.report()
	ctx := run.Context()
	look(b.scope, func(context.Context) (T, error) {
		ctx, stop := context.WithTimeout(ctx, workLimit)
		defer stop()
		return work(ctx, k)
	}, func(answer T, err error) {
		run.Close()
		b.run = nil
		b.report()
		done(answer, err)
	})
}

func (b *backupPage) cancel() {
	if b.run != nil {
		b.run.Close()
		b.GiveUp.SetSensitive(false)
		b.Said.SetText(i18n.T("Cancelling…"))
	}
}

// tell says what is done, or what came of it, until the next time.
func (b *backupPage) tell(icon, tone, text string) {
	b.Icon.SetFromIconName(icon)
	ui.SetTone(b.Icon, tone)
	ui.SetTone(b.Tone, map[string]string{"good": "quiet", "bad": "bad", "quiet": "quiet"}[tone])
	ui.SetText(b.Said, text, 1500)
	b.GiveUp.SetSensitive(true)
	b.GiveUp.SetVisible(!b.idle())
	b.Dismiss.SetVisible(b.idle())
	b.Bar.SetRevealChild(true)
}

func (b *backupPage) succeed(text string) { b.tell("qr-done-symbolic", "good", text) }

// fail says what went wrong, and what is so all the same.
func (b *backupPage) fail(err error, all string) {
	if errors.Is(err, context.Canceled) {
		b.tell("qr-cancelled-symbolic", "quiet", i18n.T("It was given up.")+" "+all)
		return
	}
	b.tell("qr-failed-symbolic", "bad", sentence(err)+" "+all)
}
