//go:build gtk

package ui

import (
	"cmp"
	"strings"

	"github.com/diamondburned/gotk4-adwaita/pkg/adw"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/queue"
)

// Row is a row of a list of settings: title, a line below it, things at both
// ends. Its texts are text: libadwaita's own row takes them for markup.
type Row struct {
	*adw.ActionRow
}

// NewRow makes an empty one.
func NewRow() Row {
	r := Row{adw.NewActionRow()}
	r.SetObjectProperty("use-markup", false)
	r.SetTitleLines(2)
	r.SetSubtitleLines(3)
	return r
}

// Set changes both lines; what cannot be seen is shown as an escape.
func (r Row) Set(title, subtitle string) {
	r.SetTitle(queue.Plain(title, 200))
	r.SetSubtitle(queue.Plain(subtitle, 400))
	Name(r, queue.Plain(title, 200))
	Describe(r, queue.Plain(subtitle, 400))
}

// Fold is a row that unfolds others below it. Its title is text, as a Row's is.
type Fold struct {
	*adw.ExpanderRow
}

// NewFold makes an empty one.
func NewFold() Fold {
	f := Fold{adw.NewExpanderRow()}
	f.SetObjectProperty("use-markup", false)
	return f
}

// Set changes the title.
func (f Fold) Set(title string) { f.SetTitle(queue.Plain(title, 200)) }

// NewIconButton makes a flat button with an icon alone, whose name is its
// tooltip and what a screen reader says.
func NewIconButton(icon, name string) *gtk.Button {
	b := gtk.NewButtonFromIconName(icon)
	b.AddCSSClass("flat")
	b.SetVAlign(gtk.AlignCenter)
	b.SetTooltipText(name)
	Name(b, name)
	return b
}

// NewLineGrid is what the parts of a row of a list lie in.
func NewLineGrid() *gtk.Grid {
	g := gtk.NewGrid()
	g.AddCSSClass("timeline-row")
	g.SetColumnSpacing(12)
	g.SetRowSpacing(3)
	return g
}

// LineText is what a row of a list is about, on one line that is cut at its end.
type LineText struct{ *gtk.Label }

// NewLineText makes an empty one.
func NewLineText() LineText {
	t := LineText{NewLabel("", "timeline-text")}
	t.SetEllipsize(pango.EllipsizeEnd)
	t.SetHExpand(true)
	t.SetMaxWidthChars(1) // or what is above it would be cut for what it would like
	t.SetSingleLineMode(true)
	return t
}

// Set shows a text, or a command in its own type.
func (t LineText) Set(text string, command bool) {
	SetText(t.Label, text, 300)
	if command {
		t.AddCSSClass("monospace")
	} else {
		t.RemoveCSSClass("monospace")
	}
}

// TimelineRow is one line of what happened: when, how it ended as icon, colour
// and word, which qube, what. It has no more widgets than it shows: GTK binds two
// hundred rows of a long list, and styles all of them anew when the pointer comes
// to lie upon another one.
type TimelineRow struct {
	*gtk.Grid
	head  *gtk.Label // nil while there was no need for one
	time  *gtk.Label
	icon  *gtk.Image
	chip  *Chip
	text  LineText
	pill  Pill
	small bool
	alone bool // all rows are of one qube
	far   bool
	shown Moment
}

// Moment is what a TimelineRow shows.
type Moment struct {
	Day                    string // heading above it, "" for none
	Time, Icon, Tone, Word string
	Qube, Label            string // "" for dom0 itself
	Text                   string
	Command                bool // Text is a command, shown in its own type
}

// NewTimelineRow makes an empty one.
func NewTimelineRow() *TimelineRow {
	r := &TimelineRow{
		Grid: NewLineGrid(), time: NewLabel("", "dim-label", "numeric"), icon: gtk.NewImage(),
		chip: NewChip(), text: NewLineText(), pill: NewPill(),
	}
	r.pill.SetHAlign(gtk.AlignEnd)
	for column, w := range []gtk.Widgetter{r.time, r.icon, r.chip, r.text, r.pill} {
		r.Attach(w, column, 1, 1, 1)
	}
	r.arrange()
	r.ConnectMap(func() { r.Far(false) })
	return r
}

// WithoutQube is for a list that is of one qube alone: there is no room for its
// name.
func (r *TimelineRow) WithoutQube() {
	r.alone = true
	r.Remove(r.chip)
	r.Remove(r.text)
	r.Remove(r.pill)
	r.Attach(r.text, 2, 1, 1, 1)
	r.Attach(r.pill, 3, 1, 1, 1)
}

// columns are those of the text, and how many there are.
func (r *TimelineRow) columns() (text, all int) {
	if r.alone {
		return 2, 4
	}
	return 3, 5
}

// Narrow puts the text on a line of its own, or back.
func (r *TimelineRow) Narrow(narrow bool) {
	if narrow == r.small {
		return
	}
	if r.far { // in other room
		r.Far(false)
		defer r.Far(true)
	}
	r.small = narrow
	r.pill.SetHExpand(narrow)
	r.Remove(r.text)
	column, all := r.columns()
	if narrow {
		r.Attach(r.text, 0, 2, all, 1)
	} else {
		r.Attach(r.text, column, 1, 1, 1)
	}
}

// headline shows a heading above the row, "" for none.
func (r *TimelineRow) headline(text string) {
	if r.head == nil {
		if text == "" {
			return
		}
		r.head = NewLabel("", "day")
		_, all := r.columns()
		r.Attach(r.head, 0, 0, all, 1)
	}
	r.head.SetText(text)
}

// Far has the row take no more than its room, as one that cannot be seen does in
// a long list: GTK styles all that is in it anew with each step of the focus. What
// a list has on the screen is never far, whoever says so: who asks goes by the
// scroll bar, which knows nothing of rows of other heights.
func (r *TimelineRow) Far(far bool) {
	if far == r.far || far && r.Mapped() {
		return
	}
	room := -1
	if far {
		_, room, _, _ = r.Measure(gtk.OrientationVertical, -1)
	}
	r.far = far
	r.SetSizeRequest(-1, room)
	r.arrange()
}

// arrange shows what says something.
func (r *TimelineRow) arrange() {
	if r.head != nil {
		r.head.SetVisible(!r.far && r.shown.Day != "")
	}
	r.time.SetVisible(!r.far)
	r.text.SetVisible(!r.far)
	r.icon.SetVisible(!r.far && r.shown.Icon != "")
	r.chip.SetVisible(!r.far && r.shown.Qube != "")
	r.pill.SetVisible(!r.far && r.shown.Word != "")
}

// Set shows m, and returns what a screen reader says of it. What it shows already
// is left alone: in a long list most of it is.
func (r *TimelineRow) Set(m Moment) (said string) {
	was := r.shown
	r.shown = m
	if m.Day != was.Day {
		r.headline(m.Day)
	}
	if m.Time != was.Time {
		r.time.SetText(m.Time)
	}
	if m.Icon != was.Icon {
		r.icon.SetFromIconName(m.Icon)
	}
	if m.Tone != was.Tone {
		SetTone(r.icon, m.Tone)
	}
	if m.Qube != was.Qube || m.Label != was.Label {
		r.chip.Set(m.Qube, m.Label)
	}
	if m.Text != was.Text || m.Command != was.Command {
		r.text.Set(m.Text, m.Command)
	}
	if m.Word != was.Word || m.Tone != was.Tone {
		r.pill.Set(m.Word, m.Tone)
	}
	r.arrange()
	return r.sentence()
}

// sentence is what the row shows for a screen reader.
func (r *TimelineRow) sentence() string {
	m := r.shown
	var parts []string
	if m.Time != "" {
		parts = append(parts, m.Time)
	}
	if !r.alone {
		parts = append(parts, cmp.Or(m.Qube, "dom0"))
	}
	parts = append(parts, m.Word+": "+m.Text)
	return queue.Plain(strings.Join(parts, ", "), 300)
}
