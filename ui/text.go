//go:build gtk

package ui

import (
	"strings"

	"github.com/diamondburned/gotk4/pkg/core/glib"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
	"github.com/diamondburned/gotk4/pkg/pango"

	"qvmremote/queue"
	"qvmremote/ui/i18n"
)

// SetText shows text that may come from anywhere on one line of a label, as
// text: what cannot be seen, or would move its neighbours, is an escape, and at
// most that many characters are shown.
func SetText(l *gtk.Label, text string, max int) {
	l.SetText(queue.Plain(text, max))
}

// NewLabel makes a label of our own words, with these CSS classes, that gives
// way where there is no room.
func NewLabel(text string, classes ...string) *gtk.Label {
	l := gtk.NewLabel(text)
	l.SetXAlign(0)
	l.SetCSSClasses(classes)
	return l
}

// Name gives a control its accessible name: what a screen reader says, as text,
// where what cannot be seen is an escape. Newer versions of GTK say the text on
// the control instead, unless that is undone.
func Name(w gtk.Accessibler, name string) {
	w.ResetRelation(gtk.AccessibleRelationLabelledBy)
	w.UpdateProperty(
		[]gtk.AccessibleProperty{gtk.AccessiblePropertyLabel}, []glib.Value{*glib.NewValue(queue.Plain(name, 0))})
}

// Describe gives a control what a screen reader says after its name.
func Describe(w gtk.Accessibler, text string) {
	w.UpdateProperty(
		[]gtk.AccessibleProperty{gtk.AccessiblePropertyDescription}, []glib.Value{*glib.NewValue(queue.Plain(text, 0))})
}

// tones are the CSS classes that say how good or bad something is.
var tones = []string{"good", "bad", "warn", "quiet", "accent"}

// SetTone leaves w with one of the tones' classes, or with none for "".
func SetTone(w gtk.Widgetter, tone string) {
	base := gtk.BaseWidget(w)
	for _, t := range tones {
		if t == tone {
			base.AddCSSClass(t)
		} else {
			base.RemoveCSSClass(t)
		}
	}
}

// Pill is a word with a colour that says how good or bad it is.
type Pill struct {
	*gtk.Label
}

// NewPill makes an empty one.
func NewPill() Pill {
	p := Pill{NewLabel("", "pill")}
	p.SetVAlign(gtk.AlignCenter)
	p.SetSingleLineMode(true)
	return p
}

// Set changes word and tone; an empty word hides it.
func (p Pill) Set(word, tone string) {
	SetText(p.Label, word, 24)
	SetTone(p.Label, tone)
	p.SetVisible(word != "")
}

// Chip is a qube: its label colour and its name, never one without the other.
// It is one widget, since a long list has hundreds of them, and GTK looks at the
// style of each when the pointer moves.
type Chip struct {
	*gtk.Label
	colour string
}

// NewChip makes one that shows no qube yet.
func NewChip() *Chip {
	c := &Chip{Label: NewLabel("", "chip")}
	c.SetEllipsize(pango.EllipsizeEnd)
	// Told when it is asked for: to give a widget another tooltip, GTK asks the
	// display where the pointer is, and waits for that twice.
	c.SetHasTooltip(true)
	c.ConnectQueryTooltip(func(_, _ int, _ bool, tooltip *gtk.Tooltip) bool {
		text := c.told()
		tooltip.SetText(text)
		return text != ""
	})
	return c
}

// told is what the chip says of its colour, to all who do not see it.
func (c *Chip) told() string {
	if c.colour == "" {
		return ""
	}
	return i18n.T("Label: %s", strings.TrimPrefix(c.colour, colourClass))
}

// labels are the colours that Qubes OS has.
var labels = map[string]bool{
	"red": true, "orange": true, "yellow": true, "green": true,
	"gray": true, "blue": true, "purple": true, "black": true,
}

// Set shows a qube; a label that is none of Qubes OS's own is an empty frame.
func (c *Chip) Set(name, label string) {
	c.paint(label)
	c.RemoveCSSClass("alone")
	SetText(c.Label, name, 64)
}

// SetName shows a name alone, for dom0, which has no label.
func (c *Chip) SetName(name string) {
	c.take("")
	SetText(c.Label, name, 64)
}

// SetColour shows the colour alone, for where the name stands beside it.
func (c *Chip) SetColour(label string) {
	c.paint(label)
	c.AddCSSClass("alone")
	c.SetText("")
}

func (c *Chip) paint(label string) {
	if !labels[label] {
		label = "unknown"
	}
	c.take(colourClass + label)
}

// colourClass begins the CSS class of each colour.
const colourClass = "label-"

// take leaves the chip with this colour's class alone, "" for none.
func (c *Chip) take(colour string) {
	if colour == c.colour {
		return
	}
	if c.colour != "" {
		c.RemoveCSSClass(c.colour)
	}
	if colour != "" {
		c.AddCSSClass(colour)
	}
	c.colour = colour
	Describe(c, c.told())
}
