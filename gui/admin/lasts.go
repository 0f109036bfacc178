//go:build gtk

package admin

import (
	"context"
	"slices"

	"qvmremote/dbus"
	"qvmremote/ui"
)

// lasts is what each qube ran last, as far as the newest commands of all tell.
type lasts struct {
	*desk
	changed []func()
	known   map[string]dbus.Record
	fetch   refresher
}

// lastsLooked is how many of the newest commands are looked at.
const lastsLooked = 100

func newLasts(d *desk, s *ui.Scope) *lasts {
	l := &lasts{desk: d, known: map[string]dbus.Record{}}
	l.fetch = refresher{scope: s, again: func() { l.ask(s) }, dirty: true}
	return l
}

// report is news; a command that began makes what is known stale.
func (l *lasts) report(fresh bool, news []dbus.News) {
	if fresh {
		clear(l.known)
	}
	began := func(n dbus.News) bool { return n.Kind != dbus.Added || n.Notice.Event == "run" }
	if fresh || slices.ContainsFunc(news, began) {
		l.fetch.stale()
	}
	if l.usable() {
		l.fetch.refresh()
	}
}

func (l *lasts) ask(s *ui.Scope) {
	look(l.desk, s, func(ctx context.Context, c *dbus.Client) ([]dbus.Record, error) {
		records, _, err := c.QueryAudit(ctx, dbus.Filter{Events: []string{"run"}}, 0, lastsLooked)
		return records, err
	}, func(records []dbus.Record, err error) {
		l.fetch.done()
		if err != nil {
			return // who may not see commands sees the rows without them
		}
		for _, r := range slices.Backward(records) {
			l.known[r.Qube] = r
		}
		for _, f := range l.changed {
			f()
		}
	})
}

// of is the newest command of a qube; its Event is "" where none is known.
func (l *lasts) of(qube string) dbus.Record { return l.known[qube] }
