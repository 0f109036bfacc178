//go:build gtk

package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// ran has the qube run a script to its end, by the command line.
func (s *scene) ran(t *testing.T, script string) {
	t.Helper()
	if _, err := s.Run(t.Context(), qube, script); err != nil {
		t.Fatal(err)
	}
}

// theirs is the qube's queue as its other programs see it.
func (s *scene) theirs() *client.Client { return client.New(s.Layout(qube).Root) }

// past files a request of some time ago.
func (s *scene) past(t *testing.T, p dom0test.Past) client.Entry {
	t.Helper()
	key, err := s.House.Key(qube)
	if err != nil {
		t.Fatal(err)
	}
	if p.At.IsZero() {
		p.At = time.Now().Add(-time.Duration(p.Number) * time.Hour)
	}
	day, id, err := p.File(s.Layout(qube), key)
	if err != nil {
		t.Fatal(err)
	}
	return client.Entry{Day: day, ID: id}
}

// choose takes another one of a list that drops down, by keys.
func (s *scene) choose(t *testing.T, list, item string) {
	t.Helper()
	choice := s.app.Find(t, "combo box", list+"*")
	choice.Find(t, "button", list+": *").Press(t)
	choice.Find(t, "label", item)
	s.Desktop.Key(t, "Home")
	for range 20 {
		row := s.app.Focused(t)
		if row.Role == "list item" && len(row.FindAll(t, "label", item)) == 1 {
			s.Desktop.Key(t, "Return")
			break
		}
		s.Desktop.Key(t, "Down")
		desktop.Await(t, "the next one has the focus", func() bool { return !row.Is(desktop.Focused) })
	}
	choice.Find(t, "button", list+": "+item)
}

// TestAPastCommandIsFoundAndLoaded: by its text and its outcome, also while others
// come from the command line; loading it runs nothing.
func TestAPastCommandIsFoundAndLoaded(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "history")
	s.app.Find(t, "", "Nothing was run yet")
	s.ran(t, "echo the-needle; echo wrong >&2; exit 4")
	s.app.Find(t, "list item", "*exit 4: echo the-needle*")
	s.ran(t, "echo hay")
	s.app.Find(t, "list item", "*done: echo hay")

	s.choose(t, "Outcome", "Failed")
	s.app.Gone(t, "list item", "*echo hay")
	s.choose(t, "Outcome", "Any outcome")
	s.app.Find(t, "list item", "*echo hay")
	s.Desktop.Key(t, "ctrl+f")
	s.Desktop.Type(t, "NEEDLE")
	s.app.Gone(t, "list item", "*echo hay")
	s.app.Find(t, "list item", "*echo the-needle*").Press(t)
	s.app.Find(t, "label", "wrong")
	s.app.Find(t, "list item", "Proof")
	s.app.Find(t, "label", "Verified*")

	s.app.Find(t, "button", "Load into Run*").Press(t)
	s.onPage(t, "Run")
	editor := s.app.Find(t, "text box", "Command for dom0")
	desktop.Await(t, "the editor has it", func() bool {
		return strings.TrimSpace(editor.Text(t)) == "echo the-needle; echo wrong >&2; exit 4"
	})
	if n := len(s.records(t, audit.Claim)); n != 2 {
		t.Errorf("loading it ran something: dom0 took %d commands", n)
	}
}

// TestHomeComesBack to the first row, also where that has the focus and the scroll bar
// took it out of sight.
func TestHomeComesBack(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	for n := range 80 {
		s.past(t, dom0test.Past{At: time.Now().Add(-time.Duration(n) * time.Second), Number: n, Script: fmt.Sprintf("echo %d.", n), State: queue.StateExit})
	}
	s.launch(t, "--page", "history")
	first := s.app.Find(t, "list item", "*echo 0.")
	first.Focus(t)
	place := first.Bounds(t)
	width, height := s.Desktop.Size(t)
	s.Desktop.Point(t, width-5, height*3/4)
	s.Desktop.Click(t, 1)
	s.app.Gone(t, "list item", "*echo 0.")
	if !first.Is(desktop.Focused) {
		t.Error("the focus went with the scroll bar")
	}
	s.Desktop.Key(t, "Home")
	if got := s.app.Find(t, "list item", "*echo 0.").Bounds(t); got != place {
		t.Errorf("the first row is at %v, and was at %v", got, place)
	}
}

// TestDeletedAndPutBack: the files are gone and come back, and are gone for good
// once the program has ended.
func TestDeletedAndPutBack(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	one := s.past(t, dom0test.Past{Number: 1, Script: "echo one", State: queue.StateExit, Out: "out-of-one"})
	two := s.past(t, dom0test.Past{Number: 2, Script: "echo two", State: queue.StateExit})
	s.launch(t, "--page", "history")
	folder := filepath.Join(s.Layout(qube).History(), one.Day, one.ID)
	there := func() bool { _, err := os.Stat(filepath.Join(folder, "out")); return err == nil }

	s.app.Find(t, "list item", "*echo one").Press(t)
	s.app.Find(t, "label", "out-of-one")
	s.app.Find(t, "button", "Delete*").Press(t)
	s.app.Gone(t, "list item", "*echo one")
	s.app.Find(t, "list item", "*echo two")
	desktop.Await(t, "it is gone", func() bool { return !there() && !s.theirs().There(one) })
	s.app.Find(t, "button", "Undo").Press(t)
	s.app.Find(t, "list item", "*echo one").Press(t)
	s.app.Find(t, "label", "Verified*")
	if !there() {
		t.Fatal("it was not put back")
	}

	del := s.app.Find(t, "button", "Delete*")
	del.AwaitState(t, desktop.Sensitive, true)
	del.Press(t)
	desktop.Await(t, "it is gone again", func() bool { return !s.theirs().There(one) })
	s.app.Gone(t, "list item", "*echo one")
	s.Desktop.Key(t, "ctrl+q")
	if err := s.run.Wait(t); err != nil {
		t.Errorf("it ended: %v", err)
	}
	var left []string
	err := filepath.WalkDir(s.Layout(qube).History(), func(path string, _ os.DirEntry, err error) error {
		if strings.Contains(path, one.ID) {
			left = append(left, path)
		}
		return err
	})
	if err != nil || len(left) != 0 {
		t.Errorf("of what was deleted there is %v, %v", left, err)
	}
	if !s.theirs().There(two) {
		t.Error("another one is gone, too")
	}
}

// TestDeletionsAreUndoneOneByOne: a second one leaves the first in reach.
func TestDeletionsAreUndoneOneByOne(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	one := s.past(t, dom0test.Past{Number: 1, Script: "echo one", State: queue.StateExit})
	two := s.past(t, dom0test.Past{Number: 2, Script: "echo two", State: queue.StateExit})
	s.launch(t, "--page", "history")
	for _, x := range []struct {
		row string
		e   client.Entry
	}{{"*echo one", one}, {"*echo two", two}} {
		s.app.Find(t, "list item", x.row).Press(t)
		del := s.app.Find(t, "button", "Delete*")
		del.AwaitState(t, desktop.Sensitive, true)
		del.Press(t)
		desktop.Await(t, "it is gone", func() bool { return !s.theirs().There(x.e) })
		s.app.Gone(t, "list item", x.row)
	}
	s.app.Find(t, "", "Nothing was run yet")
	s.undoes(t)
	s.app.Find(t, "list item", "*echo two")
	if s.theirs().There(one) {
		t.Error("the first is back before its time")
	}
	s.undoes(t)
	s.app.Find(t, "list item", "*echo one")
	if !s.theirs().There(one) || !s.theirs().There(two) {
		t.Error("not both are back")
	}
}

// saves writes an export by the file dialog, and returns what was written.
func (s *scene) saves(t *testing.T, menu, item, file string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	s.app.Find(t, "button", menu).Press(t)
	s.app.Find(t, "menu item", item).Press(t)
	name := s.app.Focused(t) // in GTK's own dialog, which has no name
	name.SetText(t, path)
	s.Desktop.Key(t, "Return")
	var text []byte
	desktop.Await(t, "the export is written", func() bool {
		var err error
		text, err = os.ReadFile(path)
		return err == nil
	})
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the export may be read by others: %v, %v", info.Mode(), err)
	}
	return text
}

func TestExportsOfTheHistory(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	one := s.past(t, dom0test.Past{Number: 1, Script: "=cmd() one", State: queue.StateExit, Out: "out-of-one"})
	s.past(t, dom0test.Past{Number: 2, Script: "echo two", State: queue.StateExit, Exit: 2})
	s.launch(t, "--page", "history")
	s.app.Find(t, "list item", "*echo two")
	lines := bytes.Split(bytes.TrimSpace(s.saves(t, "Export and delete*", "Export as JSON lines…", "a.jsonl")), []byte("\n"))
	for _, l := range lines {
		if !json.Valid(l) {
			t.Errorf("no JSON: %.100q", l)
		}
	}
	if len(lines) != 2 || bytes.Contains(lines[1], []byte("out-of-one")) {
		t.Errorf("the export of two is %q", lines)
	}
	s.choose(t, "Outcome", "Failed")
	s.app.Gone(t, "list item", "*one")
	if text := s.saves(t, "Export and delete*", "Export as a table (CSV)…", "a.csv"); bytes.Contains(text, []byte(one.ID)) || bytes.Count(text, []byte("\n")) != 2 {
		t.Errorf("the export of what is shown is %q", text)
	}
	s.choose(t, "Outcome", "Any outcome")
	s.app.Find(t, "list item", "*one").Press(t)
	s.app.Find(t, "label", "out-of-one")
	if text := s.saves(t, "Export", "Export as text…", "a.txt"); !bytes.Contains(text, []byte("out-of-one")) || !bytes.Contains(text, []byte(one.ID)) {
		t.Errorf("the export of one is %q", text)
	}
}

// TestAHistoryThatCannotBeShown is shown by itself once it can be.
func TestAHistoryThatCannotBeShown(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	s.past(t, dom0test.Past{Number: 1, Script: "echo one", State: queue.StateExit})
	root := s.Layout(qube).Root
	away := filepath.Join(filepath.Dir(root), "away")
	for _, err := range []error{os.Rename(root, away), os.WriteFile(root, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.launch(t, "--page", "history")
	s.app.Find(t, "", "The history cannot be shown")
	for _, err := range []error{os.Remove(root), os.Rename(away, root)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s.app.Find(t, "list item", "*echo one")
}

// TestWhatDoesNotVerifyIsMarked: in the list as far as that can tell, and in full
// whatever was changed.
func TestWhatDoesNotVerifyIsMarked(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	s.past(t, dom0test.Past{Number: 1, Script: "echo good", State: queue.StateExit, Out: "good"})
	bad := s.past(t, dom0test.Past{Number: 2, Script: "echo bad", State: queue.StateExit, Out: "same-length"})
	s.past(t, dom0test.Past{Number: 3, Script: "echo longer", State: queue.StateExit, Out: "x", Forge: true})
	if err := os.WriteFile(filepath.Join(s.Layout(qube).History(), bad.Day, bad.ID, "out"), []byte("SAME-length"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.launch(t, "--page", "history")
	s.app.Find(t, "list item", "*done: echo good")
	s.app.Find(t, "list item", "*done, unverified: echo longer")
	s.app.Find(t, "list item", "*echo bad").Press(t)
	s.app.Find(t, "label", "done, unverified")
	s.app.Find(t, "label", "This result could not be verified*")
	s.app.Find(t, "label", "SAME-length")
	s.Desktop.Key(t, "alt+Left")
	s.app.Find(t, "list item", "*echo good").Press(t)
	s.app.Find(t, "label", "Verified*")
	s.app.Gone(t, "label", "This result could not be verified*")
}

// TestAHostileHistoryIsShown: what is in an entry is text, and nothing of it stops
// the program.
func TestAHostileHistoryIsShown(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	s.past(t, dom0test.Past{Number: 1, Script: "echo <b>bold</b> & \u202ereversed", State: queue.StateExit,
		Out: "\x1b[2J\x00<i>\xff" + strings.Repeat("x", 1<<20)})
	bad := s.past(t, dom0test.Past{Number: 2, Script: "echo bad"})
	folder := filepath.Join(s.Layout(qube).History(), bad.Day, bad.ID)
	if err := os.Remove(filepath.Join(folder, "command")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(folder, "command")); err != nil {
		t.Fatal(err)
	}
	s.launch(t, "--page", "history")
	s.app.Find(t, "list item", "*"+bad.ID).Press(t)
	s.app.Find(t, "label", "Its command cannot be read*")
	s.Desktop.Key(t, "alt+Left")
	s.app.Find(t, "list item", `*echo <b>bold</b> & \u{202e}reversed`).Press(t)
	s.app.Find(t, "label", `\x1b[2J\x00<i>\xff*`)
	s.app.Find(t, "button", "Later part of: Output").Press(t)
	s.app.Find(t, "label", "256.0 KB to 512.0 KB of 1.0 MB")
}

// TestASearchBeginsAtTheNewest, wherever one was, and so does its end.
func TestASearchBeginsAtTheNewest(t *testing.T) {
	t.Parallel()
	s := prepare(t, life.Options{Stopped: true})
	for n := range 300 {
		s.past(t, dom0test.Past{Number: n + 1, Script: fmt.Sprintf("echo number-%d", n), State: queue.StateExit})
	}
	s.launch(t, "--page", "history")
	above := s.app.Find(t, "", "Outcome")
	newest := s.app.Find(t, "list item", "*number-0").Name
	for _, text := range []string{"number", ""} {
		s.app.Find(t, "list item", newest).Focus(t)
		desktop.Await(t, "there is a way back", func() bool {
			s.Desktop.Key(t, "End") // of a search, what it has found by now
			return len(s.app.FindAll(t, "button", "Newest")) > 0
		})
		s.app.Find(t, "", "Search*").SetText(t, text)
		s.app.Gone(t, "button", "Newest")
		desktop.Await(t, "the newest is in sight", func() bool {
			return s.app.Find(t, "list item", newest).Bounds(t).Min.Y >= above.Bounds(t).Max.Y
		})
	}
}
