//go:build gtk

package ui

import (
	"slices"
	"strings"
	"testing"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

// TestChipsNeverMixUpColours: what is no label of Qubes OS is none of its
// colours.
func TestChipsNeverMixUpColours(t *testing.T) {
	stage.Enter(t)
	c := NewChip()
	for _, label := range []string{"red", "black", "unknown", "", "no-such", "red label-green", "red", "\x00"} {
		c.Set("work", label)
		want := "label-" + label
		if !labels[label] {
			want = "label-unknown"
		}
		var got []string
		for _, class := range c.CSSClasses() {
			if strings.HasPrefix(class, "label-") {
				got = append(got, class)
			}
		}
		if !slices.Equal(got, []string{want}) {
			t.Errorf("the label %q is shown as %q", label, got)
		}
		stage.Description(t, c, "Label: "+strings.TrimPrefix(want, "label-"))
	}
}

// TestFillingARowDoesNotWaitForTheDisplay: a tooltip that is set makes GTK ask the
// display where the pointer is, which takes longer than the rest of a row where
// the display has much to draw. What has one is asked for it instead.
func TestFillingARowDoesNotWaitForTheDisplay(t *testing.T) {
	stage.Enter(t)
	line := NewTimelineRow()
	show(t, line)
	line.Set(Moment{Time: "12:00", Icon: "qr-done-symbolic", Tone: "good", Word: "done", Qube: "work", Label: "blue", Text: "uptime"})
	asked := 0
	for _, w := range each[*gtk.Label](line) {
		if text := w.TooltipText(); text != "" {
			t.Errorf("the tooltip %q was set", text)
		}
		if w.HasTooltip() {
			asked++
		}
	}
	if asked != 1 {
		t.Errorf("%d widgets of a row have a tooltip, not the chip alone", asked)
	}
}
