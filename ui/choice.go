//go:build gtk

package ui

import (
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Choice is a list that drops down, one of whose words is chosen. What has the
// focus is the button inside, to which GTK gives no name.
type Choice struct {
	*gtk.DropDown
	name  string
	words []string
}

// NewChoice makes one of a drop-down; changed is called whenever another word is
// chosen.
func NewChoice(s *Scope, d *gtk.DropDown, name string, changed func()) *Choice {
	c := &Choice{DropDown: d, name: name}
	Name(d, name)
	s.Bind(d, d.NotifyProperty("selected", func() {
		c.say()
		changed()
	}))
	return c
}

// Offer replaces the words; the one at selected is chosen.
func (c *Choice) Offer(words []string, selected int) {
	c.words = words
	c.SetModel(gtk.NewStringList(words))
	c.SetSelected(uint(max(selected, 0)))
	c.say()
}

// say names the button for a screen reader.
func (c *Choice) say() {
	text := c.name
	if i := c.Selected(); i < uint(len(c.words)) {
		text += ": " + c.words[i]
	}
	if b, ok := c.FirstChild().(gtk.Accessibler); ok {
		Name(b, text)
	}
}
