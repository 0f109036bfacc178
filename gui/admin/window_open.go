//go:build gtk

package admin

import (
	"strconv"

	"qvmremote/dbus"
)

// openQube shows one qube on its page.
func (w *window) openQube(name string) {
	w.showPage("qubes")
	if p := w.pages[w.current]; p != nil {
		p.open(name)
	}
	w.refreshBar()
}

// openRequest shows one request that waits.
func (w *window) openRequest(number uint64) {
	w.showPage("requests")
	if p := w.pages[w.current]; p != nil {
		p.open(strconv.FormatUint(number, 10))
	}
	w.refreshBar()
}

// showActivityOf shows what one qube did.
func (w *window) showActivityOf(name string) {
	w.showPage("activity")
	if p := w.pages[w.current]; p != nil {
		p.open(name)
	}
	w.refreshBar()
}

// openRecord shows one record in full.
func (w *window) openRecord(r dbus.Record) {
	w.showPage("activity")
	if a, ok := w.page("activity").(*activity); ok {
		a.detail.begin(r)
	}
	w.refreshBar()
}
