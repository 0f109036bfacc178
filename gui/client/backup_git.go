//go:build gtk

package client

import (
	"context"
	"errors"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/backup"
	"qvmremote/client/backup/repository"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// gitForm pushes the history to a git repository, and pulls it from there.
type gitForm struct {
	page       *backupPage
	address    *gtk.Entry
	known      bool // the address that was kept is shown
	log        *gtk.Switch
	push, pull *gtk.Button
}

func newGitForm(b *backupPage) *gitForm {
	g := &gitForm{page: b, address: gtk.NewEntry(), log: gtk.NewSwitch(), push: gtk.NewButtonWithLabel(i18n.T("Push")), pull: gtk.NewButtonWithLabel(i18n.T("Pull"))}
	g.address.SetHExpand(true)
	g.address.SetVAlign(gtk.AlignCenter)
	g.address.SetPlaceholderText("user@host:path")
	g.address.SetInputPurpose(gtk.InputPurposeURL)
	ui.Name(g.address, i18n.T("Address of the repository"))
	g.row(i18n.T("Address"), "", g.address)
	g.row(i18n.T("Push"), i18n.T("Sends the commands that the repository has not"), g.push)
	log := g.row(i18n.T("The log too"), i18n.T("A pull adds its lines, where they are of a qube of this name"), g.log)
	log.SetActivatableWidget(g.log)
	ui.Name(g.log, i18n.T("The log too"))
	g.row(i18n.T("Pull"), i18n.T("Adds the commands that this qube has not, and saves what is here first"), g.pull)
	s := b.scope
	s.Bind(g.address, g.address.ConnectChanged(g.show))
	s.Bind(g.push, g.push.ConnectClicked(func() { g.send(false) }))
	s.Bind(g.pull, g.pull.ConnectClicked(g.fetch))
	return g
}

// row adds a row with something at its end.
func (g *gitForm) row(title, text string, end gtk.Widgetter) ui.Row {
	row := ui.NewRow()
	row.Set(title, text)
	gtk.BaseWidget(end).SetVAlign(gtk.AlignCenter)
	row.AddSuffix(end)
	g.page.Git.Add(row)
	return row
}

// show shows what can be done.
func (g *gitForm) show() {
	may := g.page.idle() && g.address.Text() != ""
	g.push.SetSensitive(may)
	g.pull.SetSensitive(may)
}

// read shows the address that was pushed to last, once.
func (g *gitForm) read() {
	if g.known {
		return
	}
	g.known = true
	b := g.page
	look(b.scope, func(context.Context) (string, error) {
		k, err := b.keeper()
		if err != nil {
			return "", err
		}
		r, err := repository.New(k)
		if err != nil {
			return "", err
		}
		return r.Address()
	}, func(address string, err error) {
		switch {
		case errors.Is(err, repository.ErrNoAddress):
		case err != nil:
			b.fail(err, "")
		case g.address.Text() == "":
			g.address.SetText(address)
		}
	})
}

// send pushes; told says that somebody has read what that uploads.
func (g *gitForm) send(told bool) {
	b, to := g.page, g.address.Text()
	begin(b, i18n.T("Pushing to %s…", to), func(ctx context.Context, k *backup.Keeper) (repository.Pushed, error) {
		r, err := repository.New(k)
		if err != nil {
			return repository.Pushed{}, err
		}
		return r.Push(ctx, to, told)
	}, func(p repository.Pushed, err error) {
		switch {
		case errors.Is(err, repository.ErrNotTold):
			b.Bar.SetRevealChild(false)
			b.ask(b.scope, ui.Question{
				Heading: i18n.T("Push to this repository?"), Body: to + "\n\n" + i18n.Known(repository.Risk), Action: i18n.T("Push"),
			}, func() { g.send(true) })
		case err != nil:
			b.fail(err, "")
		default:
			b.succeed(pushed(p))
		}
	})
}

// pushed is what a push did.
func pushed(p repository.Pushed) string {
	text := i18n.T("Pushed %s to %s.", commands(p.Entries), p.Address)
	if p.Open > 0 {
		text += " " + i18n.T("Left for the next push, as they have no answer yet or could still run: %d.", p.Open)
	}
	return text + without(p.LeftOut)
}

// fetch pulls.
func (g *gitForm) fetch() {
	b, from, log := g.page, g.address.Text(), g.log.Active()
	begin(b, i18n.T("Pulling from %s…", from), func(ctx context.Context, k *backup.Keeper) (repository.Pulled, error) {
		r, err := repository.New(k)
		if err != nil {
			return repository.Pulled{}, err
		}
		return r.Pull(ctx, from, log)
	}, func(p repository.Pulled, err error) { b.restored(p.Restored, err) })
}
