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
)

// dayChart is how many commands ended how in each of the last 24 hours, drawn
// and, below, in numbers.
type dayChart struct {
	*desk
	scope   *ui.Scope
	chart   *ui.Chart
	legend  *gtk.Box
	entries map[string]*gtk.Label // of the legend, by outcome
	none    *gtk.Label            // what is said where nothing is drawn
	numbers *gtk.Expander
	list    *gtk.Box
	fetch   refresher
}

const (
	hours     = 24
	dayLength = hours * time.Hour
)

func newDayChart(d *desk, s *ui.Scope, into *gtk.Box) *dayChart {
	c := &dayChart{desk: d, scope: s, chart: ui.NewChart(), legend: gtk.NewBox(gtk.OrientationHorizontal, 12), entries: map[string]*gtk.Label{}, list: gtk.NewBox(gtk.OrientationVertical, 3)}
	c.fetch = refresher{scope: s, again: c.ask}
	c.chart.Bind(s)
	ends := gtk.NewBox(gtk.OrientationHorizontal, 6)
	c.legend.SetHExpand(true)
	c.legend.SetHAlign(gtk.AlignCenter)
	for _, o := range words.Outcomes {
		l := ui.NewLabel("", "caption", "legend", string(o.Tone))
		c.entries[o.Name] = l
		c.legend.Append(l)
	}
	c.none = ui.NewLabel("", "caption", "dim-label")
	c.none.SetWrap(true)
	c.legend.Append(c.none)
	ends.Append(ui.NewLabel("24 h ago", "dim-label", "caption"))
	ends.Append(c.legend)
	ends.Append(ui.NewLabel("now", "dim-label", "caption"))
	c.numbers = gtk.NewExpander("In numbers")
	c.numbers.SetChild(c.list)
	ui.Name(c.numbers, "In numbers")
	for _, w := range []gtk.Widgetter{c.chart, ends, c.numbers} {
		into.Append(w)
	}
	return c
}

// narrow puts the legend's words below each other.
func (c *dayChart) narrow(narrow bool) {
	orientation := gtk.OrientationHorizontal
	if narrow {
		orientation = gtk.OrientationVertical
	}
	c.legend.SetOrientation(orientation)
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
	for name, l := range c.entries {
		l.SetText("■ " + words.Counts(map[string]uint32{name: sum[name]}))
		l.SetVisible(sum[name] > 0)
	}
	c.none.SetText(total)
	c.none.SetVisible(len(spans) == 0)
	c.chart.Set(bars, "Commands per hour in the last 24 hours. "+total)
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
