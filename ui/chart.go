//go:build gtk

package ui

import (
	"math"

	"github.com/diamondburned/gotk4/pkg/cairo"
	"github.com/diamondburned/gotk4/pkg/gdk/v4"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"
)

// Bar is one column of a chart, its parts from below.
type Bar struct {
	Parts []Part
}

// Part is how many there are of one kind.
type Part struct {
	Count uint32
	Tone  string
}

// Chart is bars side by side. What it shows must be said in words as well: to
// a screen reader it is a picture with a name.
type Chart struct {
	*gtk.DrawingArea
	bars []Bar
}

// NewChart makes an empty chart.
func NewChart() *Chart {
	c := &Chart{DrawingArea: gtk.NewDrawingArea()}
	c.SetContentHeight(120)
	c.SetHExpand(true)
	c.AddCSSClass("chart")
	return c
}

// Bind has the chart drawn until the scope closes.
func (c *Chart) Bind(s *Scope) {
	c.SetDrawFunc(func(_ *gtk.DrawingArea, cr *cairo.Context, width, height int) {
		c.draw(cr, float64(width), float64(height))
	})
	s.OnClose(func() { c.SetDrawFunc(nil) })
}

// Set shows other bars, with a sentence that says what they show.
func (c *Chart) Set(bars []Bar, sentence string) {
	c.bars = bars
	Name(c, sentence)
	c.QueueDraw()
}

func (c *Chart) draw(cr *cairo.Context, width, height float64) {
	style := c.StyleContext()
	most := uint64(1)
	for _, b := range c.bars {
		most = max(most, b.total())
	}
	step := width / float64(max(len(c.bars), 1))
	gap := math.Min(6, step/5)
	c.line(cr, style, width, height)
	for i, b := range c.bars {
		y := height - 1
		for _, p := range b.Parts {
			if p.Count == 0 {
				continue
			}
			// A single one among thousands is still to be seen.
			h := math.Max(2, float64(p.Count)/float64(most)*(height-8))
			source(cr, style, p.Tone)
			cr.Rectangle(float64(i)*step+gap/2, y-h, step-gap, h)
			cr.Fill()
			y -= h
		}
	}
}

func (c *Chart) line(cr *cairo.Context, style *gtk.StyleContext, width, height float64) {
	source(cr, style, "")
	cr.Rectangle(0, height-1, width, 1)
	cr.Fill()
}

func (b Bar) total() uint64 {
	n := uint64(0)
	for _, p := range b.Parts {
		n += uint64(p.Count)
	}
	return n
}

// colours of the tones, named as libadwaita names them.
var colours = map[string]string{
	"good": "success_color", "accent": "accent_bg_color", "bad": "error_color", "warn": "warning_color", "quiet": "chart_quiet_color", "": "borders",
}

func source(cr *cairo.Context, style *gtk.StyleContext, tone string) {
	name, ok := colours[tone]
	if !ok {
		name = "accent_bg_color"
	}
	colour, ok := style.LookupColor(name)
	if !ok {
		fallback := gdk.NewRGBA(0.5, 0.5, 0.5, 1)
		colour = &fallback
	}
	cr.SetSourceRGBA(float64(colour.Red()), float64(colour.Green()), float64(colour.Blue()), float64(colour.Alpha()))
}
