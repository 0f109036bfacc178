//go:build gtk

package admin

import (
	"strconv"

	"qvmremote/dbus"
)

// openQube shows one qube on its page.
func (w *window) openQube(name string) {
	w.Show("qubes")
	if p := w.front(); p != nil {
		p.open(name)
	}
	w.Refresh()
}

// openRequest shows one request that waits.
func (w *window) openRequest(number uint64) {
	w.Show("requests")
	if p := w.front(); p != nil {
		p.open(strconv.FormatUint(number, 10))
	}
	w.Refresh()
}

// showActivityOf shows what one qube did.
func (w *window) showActivityOf(name string) {
	w.Show("activity")
	if p := w.front(); p != nil {
		p.open(name)
	}
	w.Refresh()
}

// openRecord shows one record in full.
func (w *window) openRecord(r dbus.Record) {
	w.Show("activity")
	if a, ok := w.page("activity").(*activity); ok {
		a.detail.begin(r)
	}
	w.Refresh()
}
