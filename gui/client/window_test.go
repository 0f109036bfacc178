//go:build gtk

package client

import (
	"testing"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/test/stage"
)

// TestTheBannerFitsWithoutItsButton: it is as high as it says, whatever its
// width. GTK warned of a pixel too much at each layout, which is once a second
// while a command runs.
func TestTheBannerFitsWithoutItsButton(t *testing.T) {
	s := open(t)
	now := s.now
	now.Trouble = client.ErrDiskFull
	s.report(now)
	stage.Until(t, "the banner is there", func() bool { return s.BannerBox.Height() > 0 })
	if s.BannerButton.Visible() {
		t.Fatal("it has its button")
	}
	says, _, _, _ := s.Banner.Measure(gtk.OrientationVertical, -1)
	takes, _, _, _ := s.Banner.Measure(gtk.OrientationVertical, 10_000)
	if says != takes {
		t.Errorf("it says that %d pixels are enough, and takes %d", says, takes)
	}
}
