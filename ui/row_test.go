//go:build gtk

package ui

import (
	"testing"

	"qvmremote/test/stage"
)

// TestANameIsNotCutForWhatStandsBelowIt: in a narrow window the text has a line of
// its own, and however long it is, there is the same room for the qube's name.
func TestANameIsNotCutForWhatStandsBelowIt(t *testing.T) {
	stage.Enter(t)
	for _, text := range []string{"once", "somebody in dom0 was asked and said no, or what was approved for a while counts no more"} {
		r := NewTimelineRow()
		r.Narrow(true)
		r.Set(Moment{Time: "20:38:03", Icon: "qr-denied-symbolic", Tone: "bad", Word: "denied", Qube: "personal-banking", Label: "yellow", Text: text})
		window := show(t, r)
		window.SetDefaultSize(308, 200)
		stage.Until(t, "the row is drawn", func() bool { return r.Width() == 308 })
		if r.chip.Layout().IsEllipsized() {
			t.Errorf("above %q the name is cut, %d wide", text, r.chip.Width())
		}
		window.Destroy()
	}
}
