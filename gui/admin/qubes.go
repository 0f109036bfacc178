//go:build gtk

package admin

import (
	"slices"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/ui"
)

type qubesView struct {
	Root         *gtk.Stack
	List         *adw.PreferencesGroup
	One          *gtk.ScrolledWindow
	Head         *gtk.Box
	Facts        *adw.PreferencesGroup
	May          *adw.PreferencesGroup
	Limit        *gtk.MenuButton
	Lasting      *adw.PreferencesGroup
	TakeAllBack  *gtk.Button
	Work         *adw.PreferencesGroup
	Queue        *adw.PreferencesGroup
	Look         *gtk.Button
	QueueButtons *gtk.Box
	Clean        *gtk.Button
	Recover      *gtk.Button
	Power        *adw.PreferencesGroup
	Replace      *gtk.Button
	Revoke       *gtk.Button
	Disconnect   *gtk.Button
}

// qubes is the page of the qubes that have a key or are configured, and of one
// of them.
type qubes struct {
	qubesView
	*desk
	window *window
	scope  *ui.Scope
	list   rows[dbus.Qube]
	one    *qubePane
	name   string // of the qube that is open, "" for none
}

func newQubes(w *window) (page, error) {
	q := &qubes{desk: w.desk, window: w, scope: ui.NewScope(w.scope)}
	if err := ui.Fill(&q.qubesView, "/org/qvmremote/Admin/ui/qubes.ui"); err != nil {
		return nil, err
	}
	q.list = rows[dbus.Qube]{group: q.List, make: func() shownRow[dbus.Qube] { return w.linkedQubeRow(q.scope) }}
	q.one = newQubePane(q)
	w.lasts.changed = append(w.lasts.changed, q.showAll)
	q.showAll()
	return q, nil
}

func (q *qubes) Widget() gtk.Widgetter { return q.Root }
func (q *qubes) Shown()                { q.one.shown() }
func (q *qubes) Hidden()               {}
func (q *qubes) Narrow(bool)           {}
func (q *qubes) find()                 {}
func (q *qubes) Inner() string         { return q.name }
func (q *qubes) close()                { q.scope.Close() }

func (q *qubes) Leave() {
	q.name = ""
	q.showAll()
}

// open shows one qube.
func (q *qubes) open(name string) {
	q.name = name
	q.one.begin(name)
	q.showAll()
}

func (q *qubes) report(fresh bool, news []dbus.News) {
	q.showAll()
	if q.name != "" && (fresh || len(news) > 0) {
		q.one.lasting.look()
	}
}

func (q *qubes) showAll() {
	q.list.show(q.now.Qubes)
	i := slices.IndexFunc(q.now.Qubes, func(x dbus.Qube) bool { return x.Name == q.name })
	switch {
	case i >= 0:
		q.one.show(q.now.Qubes[i])
		q.Root.SetVisibleChildName("one")
	case len(q.now.Qubes) == 0:
		q.name = ""
		q.Root.SetVisibleChildName("none")
	default:
		q.name = "" // it was revoked meanwhile
		q.Root.SetVisibleChildName("list")
	}
}
