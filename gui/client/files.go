//go:build gtk

package client

import (
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client/transfer"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// filesView is resources/client/files.ui.
type filesView struct {
	Root      *gtk.ScrolledWindow
	Send      *adw.PreferencesGroup
	Fetch     *adw.PreferencesGroup
	Transfers *adw.PreferencesGroup
}

// files sends files to dom0 and fetches them from there.
type files struct {
	filesView
	*desk
	app   *App
	scope *ui.Scope
	forms [2]*form
	under []*moving // those that are shown, the newest first
}

func newFiles(w *window) (page, error) {
	f := &files{desk: w.desk, app: w.app, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&f.filesView, "/org/qvmremote/Client/ui/files.ui"); err != nil {
		return nil, err
	}
	f.forms[0] = newForm(f, f.Send, direction{
		verb: i18n.T("Send"), here: i18n.T("File"), there: i18n.T("Its path in dom0"), named: i18n.T("Send: its path in dom0"), hint: "/root/",
		replace: i18n.T("Replace the file in dom0, if there is one"),
		choose:  gtk.FileChooserActionOpen, move: (*transfer.Transfer).Push,
	})
	f.forms[1] = newForm(f, f.Fetch, direction{
		verb: i18n.T("Fetch"), here: i18n.T("Save it as"), there: i18n.T("Its path in dom0"), named: i18n.T("Fetch: its path in dom0"), hint: "/root/name",
		replace: i18n.T("Replace the file here, if there is one"),
		choose:  gtk.FileChooserActionSave, fetches: true, move: (*transfer.Transfer).Pull,
	})
	return f, nil
}

func (f *files) Widget() gtk.Widgetter { return f.Root }
func (f *files) Shown()                {}
func (f *files) Hidden()               {}
func (f *files) Narrow(bool)           {}
func (f *files) Inner() string         { return "" }
func (f *files) Leave()                {}
func (f *files) find()                 {}
func (f *files) open(string)           {}
func (f *files) close()                { f.scope.Close() }

// report shows what can be done.
func (f *files) report() {
	for _, one := range f.forms {
		one.show()
	}
}

// mostShown is how many transfers are shown.
const mostShown = 20

// begin moves a file, and shows how far it is.
func (f *files) begin(d direction, here, there string, replace bool) {
	m := newMoving(f, d, here, there)
	f.Transfers.SetVisible(true)
	for _, older := range f.under { // a group adds at its end, and the newest is to be the first
		f.Transfers.Remove(older.row)
	}
	f.under = append([]*moving{m}, f.under...)
	for _, one := range f.under {
		f.Transfers.Add(one.row)
	}
	for i := len(f.under) - 1; i >= mostShown; i-- {
		if old := f.under[i]; old.run == nil {
			f.Transfers.Remove(old.row)
			old.scope.Close()
			f.under = append(f.under[:i], f.under[i+1:]...)
		}
	}
	m.start(replace)
	f.report()
}

// moves reports whether this very file is under way already: a second transfer
// of it could only get in the way of the first.
func (f *files) moves(d direction, here, there string) bool {
	return slices.ContainsFunc(f.under, func(m *moving) bool {
		return m.run != nil && m.way.fetches == d.fetches && m.here == here && m.there == there
	})
}

// moving is how many transfers are under way.
func (f *files) moving() (n int) {
	for _, m := range f.under {
		if m.run != nil {
			n++
		}
	}
	return n
}
