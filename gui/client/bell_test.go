//go:build gtk

package client

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/test/stage"
)

// TestWhatFailsHasTheQueueLookedAt, so that what is in the way of all is said over
// every page.
func TestWhatFailsHasTheQueueLookedAt(t *testing.T) {
	s, one := begun(t, nil, "true")
	rung := func(what string) {
		t.Helper()
		select {
		case <-s.app.bell:
		default:
			t.Errorf("%s has nobody look", what)
		}
	}
	ended := false
	s.do(s.scope, gtk.NewButton(), func(context.Context) error { return nil }, func(error) { ended = true })
	stage.Until(t, "it is done", func() bool { return ended })
	if len(s.app.bell) > 0 {
		t.Error("what succeeds has somebody look")
	}
	ended = false
	s.do(s.scope, gtk.NewButton(), func(context.Context) error { return errors.New("no") }, func(error) { ended = true })
	stage.Until(t, "it has failed", func() bool { return ended })
	rung("an order that failed")

	pending := s.queue.Layout.PendingDir()
	if err := errors.Join(os.RemoveAll(pending), os.WriteFile(pending, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	one.start()
	stage.Until(t, "it cannot be sent", func() bool { return one.progress.phase == broken })
	rung("a command that could not be sent")

	f := s.page("files").(*files)
	form := f.forms[0]
	form.path = "/etc/hostname"
	form.entry.SetText("/root/name")
	form.button.Emit("clicked")
	stage.Until(t, "the transfer has ended", func() bool { return f.moving() == 0 })
	rung("a transfer that failed")
}
