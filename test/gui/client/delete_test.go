//go:build gtk

package client

import (
	"os"
	"testing"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// undoes undoes a deletion by the menu.
func (s *scene) undoes(t *testing.T) {
	t.Helper()
	s.app.Find(t, "button", "Export and delete*").Press(t)
	s.app.Find(t, "menu item", "Undo the last deletion").Press(t)
	s.app.Gone(t, "menu item", "Undo the last deletion")
}

// TestAKilledProgramLosesNothing: what was deleted a moment ago is back.
func TestAKilledProgramLosesNothing(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	one := s.past(t, dom0test.Past{Number: 1, Script: "echo one", State: queue.StateExit})
	s.launch(t, "--page", "history")
	s.app.Find(t, "list item", "*echo one").Press(t)
	s.app.Find(t, "button", "Delete*").Press(t)
	desktop.Await(t, "it is gone", func() bool { return !s.theirs().There(one) })
	p, err := os.FindProcess(s.run.Pid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		t.Fatal(err)
	}
	_ = s.run.Wait(t)
	bin, err := s.theirs().OpenBin(t.Context()) // as the next program does, and the sweep
	if err != nil {
		t.Fatal(err)
	}
	defer bin.Close(t.Context())
	if d, err := s.theirs().Detail(t.Context(), one); err != nil || d.Trust != client.Verified {
		t.Errorf("it is %+v, %v", d, err)
	}
}

// TestAnotherWindowsUndo: what another program deletes goes from the list, and
// comes back to it with that one's undo.
func TestAnotherWindowsUndo(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	one := s.past(t, dom0test.Past{Number: 1, Script: "echo one", State: queue.StateExit})
	s.past(t, dom0test.Past{Number: 2, Script: "echo two", State: queue.StateExit})
	s.launch(t, "--page", "history")
	s.app.Find(t, "list item", "*echo one")
	bin, err := s.theirs().OpenBin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer bin.Close(t.Context())
	for range 2 {
		if _, err := bin.Delete(t.Context(), []client.Entry{one}); err != nil {
			t.Fatal(err)
		}
		s.app.Gone(t, "list item", "*echo one")
		if _, err := bin.Restore(t.Context(), []client.Entry{one}); err != nil {
			t.Fatal(err)
		}
		s.app.Find(t, "list item", "*echo one")
	}
	s.app.Find(t, "list item", "*echo one").Press(t)
	s.app.Find(t, "label", "Verified*")
}

// TestAllThatIsShownIsDeleted only after a question, and can be undone.
func TestAllThatIsShownIsDeleted(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	for n := range 30 {
		s.past(t, dom0test.Past{Number: n + 1, Script: []string{"echo keep", "echo drop"}[n%2], State: queue.StateExit})
	}
	s.launch(t, "--page", "history")
	s.app.Find(t, "list item", "*echo keep")
	s.Desktop.Key(t, "ctrl+f")
	s.Desktop.Type(t, "drop")
	s.app.Gone(t, "list item", "*echo keep")
	s.app.Find(t, "button", "Export and delete*").Press(t)
	s.app.Find(t, "menu item", "Delete what is shown…").Press(t)
	s.app.Find(t, "dialog", "Delete 15 commands?").Find(t, "button", "Delete*").Press(t)
	s.app.Find(t, "", "Nothing was found")
	desktop.Await(t, "half of it is left", func() bool { return len(s.theirs().History(100)) == 15 })
	s.app.Find(t, "button", "Undo").Press(t)
	s.app.Find(t, "list item", "*echo drop")
	desktop.Await(t, "all of it is back", func() bool { return len(s.theirs().History(100)) == 30 })
}
