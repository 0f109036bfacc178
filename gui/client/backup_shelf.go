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
	s := &shelf{page: b, last: ui.NewRow(), other: ui.NewRow(), choose: gtk.NewButtonWithLabel("Choose…")}
	s.choose.SetVAlign(gtk.AlignCenter)
	ui.Name(s.choose, "Another backup: choose")
	s.other.Set("Another backup", "A file that lies elsewhere")
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
		s.say(say.Count(older, "older one") + " in this folder")
	case len(newest) == 0:
		s.say("No backup here yet")
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
	c := gtk.NewFileChooserNative("Restore a backup", s.page.over(), gtk.FileChooserActionOpen, "Choose", "Cancel")
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
		check: gtk.NewButtonWithLabel("Check"), restore: gtk.NewButtonWithLabel("Restore…")}
	r.row.SetTitleLines(3)
	r.row.SetSubtitleLines(4)
	r.row.Set(l.Name, describe(l))
	ui.Name(r.restore, "Restore: "+l.Name)
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
		r.check.SetTooltipText("Check")
	} else {
		r.check.SetLabel("Check")
		r.check.SetTooltipText("")
	}
	ui.Name(r.check, "Check: "+r.of.Name)
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
		parts = append(parts, say.Count(l.Entries, "command"), "with the key, encrypted")
	default:
		parts = append(parts, say.Count(l.Entries, "command"), "without the key")
	}
	if l.Safety {
		parts = append(parts, "made before a restore")
	}
	return strings.Join(parts, " · ")
}

// check reads a backup to its end.
func (b *backupPage) check(path string) {
	begin(b, "Checking "+filepath.Base(path)+"…", func(ctx context.Context, k *backup.Keeper) (backup.Contents, error) { return k.Check(ctx, path) },
		func(c backup.Contents, err error) {
			if err != nil {
				b.fail(fmt.Errorf("%s: %w", filepath.Base(path), err), "")
				return
			}
			b.succeed(fmt.Sprintf("%s is whole. It was made %s in the qube %s, and holds %s.", filepath.Base(path), say.When(c.Made), qubeOf(c), holds(c)))
		})
}

// qubeOf is the qube that a backup is of.
func qubeOf(c backup.Contents) string {
	if c.Qube == queue.AnyQube {
		return "of an unknown name"
	}
	return c.Qube
}

// holds is what is in a backup.
func holds(c backup.Contents) string {
	parts := []string{say.Count(c.Entries, "command")}
	for _, p := range []struct {
		there bool
		what  string
	}{{c.Log, "the log"}, {c.Settings, "the settings"}, {c.Keys, "the key, encrypted"}} {
		if p.there {
			parts = append(parts, p.what)
		}
	}
	if !c.Keys {
		parts = append(parts, "no key")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}
