//go:build gtk

package admin

import (
	"context"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/say"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// recent is the last events, the newest first.
type recent struct {
	*desk
	scope *ui.Scope
	list  moments
	now   []dbus.Record // what the rows show
	open  func(dbus.Record)
	heard bool // the list is listened to
	fetch refresher
}

const (
	recentShown  = 10
	recentLooked = 120 // records; a command leaves four
)

func newRecent(d *desk, s *ui.Scope, group *adw.PreferencesGroup, open func(dbus.Record)) *recent {
	r := &recent{desk: d, scope: s, open: open}
	r.fetch = refresher{scope: s, again: r.ask, dirty: true}
	r.list.rows = rows[dbus.Record]{group: group, empty: i18n.T("Nothing has happened yet."), make: r.newRow}
	return r
}

func (r *recent) newRow() shownRow[dbus.Record] {
	return r.list.row(ui.NewTimelineRow(), true, func(rec dbus.Record) ui.Moment {
		return moment(rec, r.labels[rec.Qube], say.Clock(rec.Time))
	})
}

func (r *recent) stale()   { r.fetch.stale() }
func (r *recent) refresh() { r.fetch.refresh() }

func (r *recent) ask() {
	look(r.desk, r.scope, func(ctx context.Context, c *dbus.Client) ([]dbus.Record, error) {
		records, _, err := c.QueryAudit(ctx, dbus.Filter{}, 0, recentLooked)
		return records, err
	}, func(records []dbus.Record, err error) {
		r.fetch.done()
		if err != nil {
			r.list.empty, records = words.Error(err), nil
		}
		r.now = newest(records, recentShown)
		r.list.show(r.now)
		r.listen()
	})
}

// listen opens what is pressed. A row's own signal is for the keyboard alone;
// that of the list, which the group makes with its first row, is for both.
func (r *recent) listen() {
	if r.heard || r.list.len() == 0 {
		return
	}
	list, ok := gtk.BaseWidget(r.list.have[0].widget).Parent().(*gtk.ListBox)
	if !ok {
		return
	}
	r.heard = true
	r.scope.Bind(list, list.ConnectRowActivated(func(row *gtk.ListBoxRow) {
		if i := row.Index(); i < len(r.now) {
			r.open(r.now[i])
		}
	}))
}

// newest are the first n of records that are rows of a timeline; a final one
// takes over the command that its request ran.
func newest(records []dbus.Record, n int) []dbus.Record {
	commands := map[uint64]string{}
	for _, r := range records {
		if r.Event == "run" {
			commands[r.Number] = r.Command
		}
	}
	var shown []dbus.Record
	for _, r := range records {
		if len(shown) == n || !words.Row(r.Event) {
			continue
		}
		if r.Event == "final" && r.Command == "" {
			r.Command = commands[r.Number]
		}
		shown = append(shown, r)
	}
	return shown
}
