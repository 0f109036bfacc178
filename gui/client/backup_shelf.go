//go:build gtk

package client

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/backup"
	"qvmremote/gui/say"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// mostBackups is how many backups are listed; another one is chosen as a file.
const mostBackups = 30

// shelf lists the backups in the folder, and what lies elsewhere.
type shelf struct {
	page    *backupPage
	look    *ui.Scope // of what is followed; nil while the page is not in front
	rows    []*archiveRow
	small   bool
	last    ui.Row // that there are none, or more
	other   ui.Row
	choose  *gtk.Button
	chooser *gtk.FileChooserNative
}

func newShelf(b *backupPage) *shelf {
	s := &shelf{page: b, last: ui.NewRow(), other: ui.NewRow(), choose: gtk.NewButtonWithLabel(i18n.T("Choose…"))}
	s.choose.SetVAlign(gtk.AlignCenter)
	ui.Name(s.choose, i18n.T("Another backup: choose"))
	s.other.Set(i18n.T("Another backup"), i18n.T("A file that lies elsewhere"))
	s.other.AddSuffix(s.choose)
	s.last.SetVisible(false)
	b.Archives.Add(s.last)
	b.Archives.Add(s.other)
	b.scope.Bind(s.choose, s.choose.ConnectClicked(s.pick))
	return s
}

// begin follows the folder.
func (s *shelf) begin() {
	s.end()
	b := s.page
	k, err := b.keeper()
	if err != nil {
		s.say(sentence(err))
		return
	}
	scope := ui.NewScope(b.scope)
	s.look = scope
	look(scope, func(ctx context.Context) (struct{}, error) {
		return struct{}{}, k.Follow(ctx, mostBackups, func(newest []backup.Listed, older int) {
			ui.Soon(scope, func() { s.take(newest, older) })
		})
	}, func(_ struct{}, err error) {
		s.take(nil, 0)
		s.say(sentence(err))
	})
}

func (s *shelf) end() {
	if s.look != nil {
		s.look.Close()
		s.look = nil
	}
}

// say stands below the list, or in its place.
func (s *shelf) say(text string) {
	s.last.Set(text, "")
	s.last.SetVisible(text != "")
}

// take shows a list. The rows of one that is as before stay, with the focus.
func (s *shelf) take(newest []backup.Listed, older int) {
	group := s.page.Archives
	if !slices.EqualFunc(newest, s.rows, func(l backup.Listed, r *archiveRow) bool { return l.Archive == r.of.Archive }) {
		for _, r := range s.rows {
			group.Remove(r.row)
			r.scope.Close()
		}
		s.rows = nil
		// A group takes rows at its end alone.
		group.Remove(s.last)
		group.Remove(s.other)
		for _, l := range newest {
			r := newArchiveRow(s.page, l)
			r.narrow(s.small)
			s.rows = append(s.rows, r)
			group.Add(r.row)
		}
		group.Add(s.last)
		group.Add(s.other)
	}
	switch {
	case older > 0:
		s.say(i18n.N(older, "%d older one in this folder", "%d older ones in this folder", older))
	case len(newest) == 0:
		s.say(i18n.T("No backup here yet"))
	default:
		s.say("")
	}
	s.show()
}

// show shows what can be done.
func (s *shelf) show() {
	for _, r := range s.rows {
		r.show()
	}
	s.choose.SetSensitive(s.page.idle())
}

func (s *shelf) narrow(narrow bool) {
	s.small = narrow
	for _, r := range s.rows {
		r.narrow(narrow)
	}
}

// pick asks for a file to restore.
func (s *shelf) pick() {
	c := gtk.NewFileChooserNative(i18n.T("Restore a backup"), s.page.over(), gtk.FileChooserActionOpen, i18n.T("Choose"), i18n.T("Cancel"))
	c.SetModal(true)
	s.chooser = c
	c.ConnectResponse(func(response int) {
		s.chooser = nil
		if response == int(gtk.ResponseAccept) && c.File() != nil && c.File().Path() != "" {
			s.page.compare(c.File().Path())
		}
	})
	c.Show()
}

// archiveRow is one backup of the list.
type archiveRow struct {
	page           *backupPage
	of             backup.Listed
	scope          *ui.Scope
	row            ui.Row
	check, restore *gtk.Button
}

func newArchiveRow(b *backupPage, l backup.Listed) *archiveRow {
	r := &archiveRow{page: b, of: l, scope: ui.NewScope(b.scope), row: ui.NewRow(),
		check: gtk.NewButtonWithLabel(i18n.T("Check")), restore: gtk.NewButtonWithLabel(i18n.T("Restore…"))}
	r.row.SetTitleLines(3)
	r.row.SetSubtitleLines(4)
	r.row.Set(l.Name, describe(l))
	ui.Name(r.restore, i18n.T("Restore: %s", l.Name))
	for _, button := range []*gtk.Button{r.check, r.restore} {
		button.SetVAlign(gtk.AlignCenter)
		r.row.AddSuffix(button)
	}
	r.scope.Bind(r.check, r.check.ConnectClicked(func() { b.check(l.Path) }))
	r.scope.Bind(r.restore, r.restore.ConnectClicked(func() { b.compare(l.Path) }))
	r.narrow(false)
	r.show()
	return r
}

// narrow leaves more room for the name.
func (r *archiveRow) narrow(narrow bool) {
	if narrow {
		r.check.SetIconName("qr-done-symbolic")
		r.check.SetTooltipText(i18n.T("Check"))
	} else {
		r.check.SetLabel(i18n.T("Check"))
		r.check.SetTooltipText("")
	}
	ui.Name(r.check, i18n.T("Check: %s", r.of.Name))
}

func (r *archiveRow) show() {
	r.check.SetSensitive(r.page.idle())
	r.restore.SetSensitive(r.page.idle())
}

// describe is a backup in one line, as its beginning says.
func describe(l backup.Listed) string {
	parts := []string{say.Size(uint64(l.Size)), say.When(l.Archive.Made)}
	switch {
	case l.Problem != nil:
		parts = append(parts, sentence(l.Problem))
	case l.Keys:
		parts = append(parts, commands(l.Entries), i18n.T("with the key, encrypted"))
	default:
		parts = append(parts, commands(l.Entries), i18n.T("without the key"))
	}
	if l.Safety {
		parts = append(parts, i18n.T("made before a restore"))
	}
	return strings.Join(parts, " · ")
}

// check reads a backup to its end.
func (b *backupPage) check(path string) {
	begin(b, i18n.T("Checking %s…", filepath.Base(path)), func(ctx context.Context, k *backup.Keeper) (backup.Contents, error) { return k.Check(ctx, path) },
		func(c backup.Contents, err error) {
			if err != nil {
				b.fail(fmt.Errorf("%s: %w", filepath.Base(path), err), "")
				return
			}
			b.succeed(i18n.T("%s is whole.", filepath.Base(path)) + " " + whole(c))
		})
}

// whole is what there is to say of a backup that is whole.
func whole(c backup.Contents) string {
	if c.Qube == queue.AnyQube {
		return i18n.T("It was made %s in the qube of an unknown name, and holds %s.", say.When(c.Made), holds(c))
	}
	return i18n.T("It was made %s in the qube %s, and holds %s.", say.When(c.Made), c.Qube, holds(c))
}

// holds is what is in a backup.
func holds(c backup.Contents) string {
	parts := []string{commands(c.Entries)}
	for _, p := range []struct {
		there bool
		what  string
	}{
		{c.Log, i18n.C("what a backup holds", "the log")}, {c.Settings, i18n.C("what a backup holds", "the settings")},
		{c.Keys, i18n.C("what a backup holds", "the key, encrypted")}, {!c.Keys, i18n.C("what a backup holds", "no key")},
	} {
		if p.there {
			parts = append(parts, p.what)
		}
	}
	return i18n.C("list, and its last part", "%s and %s", strings.Join(parts[:len(parts)-1], ", "), parts[len(parts)-1])
}
