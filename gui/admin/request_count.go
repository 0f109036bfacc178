//go:build gtk

package admin

import (
	"fmt"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// requestCount is how many requests wait, in the sidebar.
type requestCount struct {
	row  *gtk.ListBoxRow
	pill ui.Pill
}

func newRequestCount(at ui.SidebarRow) requestCount {
	c := requestCount{at.Row, ui.NewPill()}
	c.pill.SetHExpand(true)
	c.pill.SetHAlign(gtk.AlignEnd)
	c.pill.SetVisible(false)
	at.Box.Append(c.pill)
	return c
}

func (c requestCount) show(n int) {
	if n == 0 {
		c.pill.Set("", "")
		ui.Name(c.row, i18n.T("Requests"))
		return
	}
	c.pill.Set(fmt.Sprint(n), "warn")
	ui.Name(c.row, i18n.N(n, "Requests, %d waiting", "Requests, %d waiting", n))
}
