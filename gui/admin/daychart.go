//go:build gtk

package admin

import (
	"context"
	"time"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/dbus"
	"qvmremote/gui/words"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
)

// dayChart is how many commands ended how in each of the last 24 hours, drawn
// and, below, in numbers.
type dayChart struct {
	*desk
	scope   *ui.Scope
	chart   *ui.Chart
	legend  *gtk.FlowBox
	entries map[string]legendEntry // by outcome
	none    *gtk.Label             // what is said where nothing is drawn
	numbers *gtk.Expander
	list    *gtk.Box
	fetch   refresher
}

const (
	hours     = 24
	dayLength = hours * time.Hour
)

func newDayChart(d *desk, s *ui.Scope, into *gtk.Box) *dayChart {
	c := &dayChart{desk: d, scope: s, chart: ui.NewChart(), legend: newLegend(), entries: map[string]legendEntry{}, list: gtk.NewBox(gtk.OrientationVertical, 3)}
	c.fetch = refresher{scope: s, again: c.ask}
	c.chart.Bind(s)
	ends, now := gtk.NewBox(gtk.OrientationHorizontal, 6), ui.NewLabel(i18n.T("now"), "dim-label", "caption")
	ends.Append(ui.NewLabel(i18n.T("24 hours ago"), "dim-label", "caption"))
	now.SetHExpand(true)
	now.SetXAlign(1)
	ends.Append(now)
	for _, o := range words.Outcomes {
		c.entries[o.Name] = newLegendEntry(c.legend, string(o.Tone))
	}
	c.none = ui.NewLabel("", "caption", "dim-label")
	c.none.SetWrap(true)
	c.numbers = gtk.NewExpander(i18n.T("In numbers"))
	c.numbers.SetChild(c.list)
	c.list.SetMarginTop(6)
	ui.Name(c.numbers, i18n.T("In numbers"))
	for _, w := range []gtk.Widgetter{c.chart, ends, c.legend, c.none, c.numbers} {
		into.Append(w)
	}
	return c
}

// newLegend makes a legend that takes as many lines as it needs.
func newLegend() *gtk.FlowBox {
	legend := gtk.NewFlowBox()
	legend.SetSelectionMode(gtk.SelectionNone)
	legend.SetMaxChildrenPerLine(uint(len(words.Outcomes)))
	legend.SetColumnSpacing(12)
	legend.SetRowSpacing(3)
	legend.AddCSSClass("plain")
	ui.Name(legend, i18n.T("How many ended how"))
	return legend
}

// legendEntry is one outcome in it; the place is hidden with the word.
type legendEntry struct {
	place *gtk.FlowBoxChild
	word  *gtk.Label
}

func newLegendEntry(legend *gtk.FlowBox, tone string) legendEntry {
	e := legendEntry{gtk.NewFlowBoxChild(), ui.NewLabel("", "caption", tone)}
	e.place.SetFocusable(false)
	e.place.SetChild(e.word)
	legend.Insert(e.place, -1)
	return e
}

// show shows how many there are, or that there are none.
func (e legendEntry) show(name string, n uint32) {
	e.word.SetText("■ " + words.Counts(map[string]uint32{name: n}))
	e.place.SetVisible(n > 0)
}

func (c *dayChart) stale()   { c.fetch.stale() }
func (c *dayChart) refresh() { c.fetch.refresh() }

func (c *dayChart) ask() {
	// To the end of this hour: times on the bus are whole seconds, and what
	// ended in this one counts.
	to := time.Now().Truncate(time.Hour).Add(time.Hour)
	from := to.Add(-dayLength)
	look(c.desk, c.scope, func(ctx context.Context, client *dbus.Client) ([]dbus.Span, error) {
		return client.CountCommands(ctx, from, to, time.Hour, "")
	}, func(spans []dbus.Span, err error) {
		c.fetch.done()
		if err != nil {
			c.none.SetText(words.Error(err))
			c.none.SetVisible(true)
			return
		}
		c.show(from, spans)
	})
}

func (c *dayChart) show(from time.Time, spans []dbus.Span) {
	bars := make([]ui.Bar, hours)
	sum := map[string]uint32{}
	for _, s := range spans {
		i := int(s.Begin.Sub(from) / time.Hour)
		if i < 0 || i >= hours {
			continue
		}
		for _, o := range words.Outcomes {
			bars[i].Parts = append(bars[i].Parts, ui.Part{Count: s.Ended[o.Name], Tone: string(o.Tone)})
			sum[o.Name] += s.Ended[o.Name]
		}
	}
	total := words.Counts(sum)
	for name, e := range c.entries {
		e.show(name, sum[name])
	}
	c.none.SetText(total)
	c.none.SetVisible(len(spans) == 0)
	c.chart.Set(bars, i18n.T("Commands per hour in the last 24 hours.")+" "+total)
	c.showNumbers(spans)
}

func (c *dayChart) showNumbers(spans []dbus.Span) {
	for child := c.list.FirstChild(); child != nil; child = c.list.FirstChild() {
		c.list.Remove(child)
	}
	for _, s := range spans {
		line := ui.NewLabel(s.Begin.Local().Format("15:04")+"–"+s.Begin.Add(time.Hour).Local().Format("15:04")+"  "+words.Counts(s.Ended), "caption", "numeric")
		line.SetWrap(true)
		c.list.Append(line)
	}
	c.numbers.SetVisible(len(spans) > 0)
}

// refresher asks again for what has changed: at once where the last time is a
// moment ago, else once that is over, and one question at a time.
type refresher struct {
	scope *ui.Scope
	again func()
	dirty bool
	asks  bool
	rests bool // a moment after an answer
}

// restTime is what lies between an answer and the next question, in ms.
const restTime = 500

func (r *refresher) stale() { r.dirty = true }

func (r *refresher) refresh() {
	if !r.dirty || r.asks || r.rests {
		return
	}
	r.dirty, r.asks = false, true
	r.again()
}

// done is for when the answer came.
func (r *refresher) done() {
	r.asks, r.rests = false, true
	ui.After(r.scope, restTime, func() {
		r.rests = false
		r.refresh()
	})
}

// settingsList is what is set in dom0, read only.
type settingsList struct {
	*desk
	scope *ui.Scope
	row   *adw.ExpanderRow
	rows  []ui.Row
	fetch refresher
}

func newSettingsList(d *desk, s *ui.Scope, row *adw.ExpanderRow) *settingsList {
	l := &settingsList{desk: d, scope: s, row: row}
	l.fetch = refresher{scope: s, again: l.ask, dirty: true}
	s.Bind(row, row.NotifyProperty("expanded", func() {
		l.fetch.stale()
		l.refresh()
	}))
	return l
}

// refresh asks only while one looks.
func (l *settingsList) refresh() {
	if l.row.Expanded() {
		l.fetch.refresh()
	}
}

func (l *settingsList) ask() {
	look(l.desk, l.scope, func(ctx context.Context, c *dbus.Client) ([]dbus.Setting, error) {
		settings, file, err := c.ListSettings(ctx)
		return append(settings, dbus.Setting{Value: file}), err
	}, func(settings []dbus.Setting, err error) {
		l.fetch.done()
		if err != nil {
			l.row.SetSubtitle(escape(words.Error(err)))
			return
		}
		l.row.SetSubtitle(escape(settings[len(settings)-1].Value))
		l.show(settings[:len(settings)-1])
	})
}

func (l *settingsList) show(settings []dbus.Setting) {
	for len(l.rows) < len(settings) {
		row := ui.NewRow()
		l.rows = append(l.rows, row)
		l.row.AddRow(row)
	}
	for i, row := range l.rows {
		row.SetVisible(i < len(settings))
		if i < len(settings) {
			s := settings[i]
			row.Set(s.Name+" = "+s.Value, s.About)
		}
	}
}
