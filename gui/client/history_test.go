//go:build gtk

package client

import (
	"testing"
	"time"

	"github.com/diamondburned/gotk4/pkg/glib/v2"
	"github.com/diamondburned/gotk4/pkg/gtk/v4"

	"qvmremote/client"
	"qvmremote/client/archive"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
	"qvmremote/test/stage"
)

// pastOf files commands that were run.
func pastOf(t *testing.T, s *opened, scripts ...string) (entries []client.Entry) {
	t.Helper()
	key, err := s.queue.Key()
	if err != nil {
		t.Fatal(err)
	}
	for n, script := range scripts {
		p := dom0test.Past{At: time.Now(), Number: n, Script: script, State: queue.StateExit, Out: "out\n"}
		day, id, err := p.File(s.queue.Layout, key)
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, client.Entry{Day: day, ID: id})
	}
	return entries
}

// shown waits until an entry is shown in full.
func (h *history) shown(t *testing.T, e client.Entry) {
	t.Helper()
	stage.Until(t, "the command is shown", func() bool {
		d := h.detail.detail
		return h.Root.VisibleChildName() == "detail" && d != nil && d.Entry == e && !h.deleted.busy
	})
}

// TestNothingActsOnWhatIsBeingRead: what is still shown is another command.
func TestNothingActsOnWhatIsBeingRead(t *testing.T) {
	s := open(t)
	entries := pastOf(t, s, "echo one", "echo two")
	s.Show("history")
	h := s.page("history").(*history)
	able := func(want bool) {
		t.Helper()
		for name, w := range map[string]gtk.Widgetter{"copy": h.CopyScript, "load": h.Load, "export": h.ExportOne, "delete": h.Delete} {
			if got := gtk.BaseWidget(w).Sensitive(); got != want {
				t.Errorf("the button to %s works: %t, want %t", name, got, want)
			}
		}
	}
	for _, e := range append(entries, entries[1]) {
		h.detail.begin(e)
		able(false)
		h.Root.ActivateAction("history.export-one", glib.NewVariantString("jsonl"))
		if h.export.chooser != nil {
			t.Fatal("something is exported that is not shown")
		}
		h.shown(t, e)
		able(true)
	}
	h.detail.follow(archive.Change{Altered: entries[1:]})
	able(true)
	h.Leave()
	able(false)
}

// TestItIsShownThoughItChanges while it is read for the first time.
func TestItIsShownThoughItChanges(t *testing.T) {
	s := open(t)
	entries := pastOf(t, s, "echo one")
	s.Show("history")
	h := s.page("history").(*history)
	h.detail.begin(entries[0])
	h.detail.follow(archive.Change{Altered: entries})
	h.shown(t, entries[0])
}

// TestADeletionClosesOnlyWhatItDeleted: not what was opened meanwhile, of which
// nothing can be deleted before it is shown.
func TestADeletionClosesOnlyWhatItDeleted(t *testing.T) {
	s := open(t)
	entries := pastOf(t, s, "echo one", "echo two")
	s.Show("history")
	h := s.page("history").(*history)
	h.detail.begin(entries[0])
	h.shown(t, entries[0])
	h.Delete.Emit("clicked")
	h.detail.begin(entries[1])
	h.deleted.delete(entries[1:]) // one at a time
	h.shown(t, entries[1])
	if s.queue.There(entries[0]) || !s.queue.There(entries[1]) {
		t.Error("the wrong one is gone")
	}
	if !h.Delete.Sensitive() {
		t.Error("what is shown cannot be deleted")
	}
}
