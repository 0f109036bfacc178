//go:build gtk

package gui

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/dbus"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// ran has a qube run a script to its end.
func (s *scene) ran(t *testing.T, qube, script string) {
	t.Helper()
	if _, err := s.Run(t.Context(), qube, script); err != nil {
		t.Fatal(err)
	}
}

// delivered waits for the record that a qube has its result, the only one.
func (s *scene) delivered(t *testing.T) dbus.Record {
	t.Helper()
	var all []dbus.Record
	desktop.Await(t, "a result is delivered", func() bool {
		all = s.records(t, dbus.Filter{Events: []string{"delivered"}})
		return len(all) == 1
	})
	return all[0]
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

func TestDetailOfACommand(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.ran(t, "work", "echo to the one; echo to the other >&2; exit 5")
	s.app.Find(t, "list item", "*work, exit 5: echo to the one*").Press(t)
	s.app.Find(t, "label", "to the one*")
	s.app.Find(t, "label", "to the other*")
	delivered := s.delivered(t)
	s.app.Find(t, "label", delivered.ID)
	s.app.Find(t, "label", delivered.Checkpoint)
	s.app.Find(t, "label", "Steps in the record")

	s.app.Find(t, "button", "Verify").Press(t)
	dialog := s.app.Find(t, "dialog", "Verify the record")
	dialog.Find(t, "label", "*records.*")
	s.Desktop.Key(t, "Escape")
	s.app.Gone(t, "dialog", "Verify the record")
	s.Desktop.Key(t, "alt+Left")
	s.app.Find(t, "list item", "*work, exit 5: echo to the one*")
}

// TestVerifyFindsWhatIsNotThere: a checkpoint of another log is no proof.
func TestVerifyFindsWhatIsNotThere(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.ran(t, "work", "echo one")
	point := s.delivered(t).Checkpoint
	s.menu(t, "Verify the record…")
	dialog := s.app.Find(t, "dialog", "Verify the record")
	dialog.Find(t, "button", "Verify*").Press(t)
	dialog.Find(t, "label", "*records.*")

	forged := strings.Map(func(r rune) rune {
		switch r {
		case 'a':
			return 'b'
		case 'b':
			return 'a'
		}
		return r
	}, point)
	dialog.Find(t, "text box", "").SetText(t, forged)
	dialog.Find(t, "button", "Verify*").Press(t)
	dialog.Gone(t, "label", "*records.*")
	dialog.Find(t, "label", "*heckpoint*")
}

func TestFiltersByQubeOutcomeAndTime(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.ran(t, "work", "echo well-done")
	s.ran(t, "dev", "echo not-so-well; exit 9")
	good, bad := "*work, exit 0: echo well-done*", "*dev, exit 9: echo not-so-well*"
	s.app.Find(t, "list item", good)
	s.app.Find(t, "list item", bad)

	s.choose(t, "Outcome", "Failed")
	s.app.Gone(t, "list item", good)
	s.app.Find(t, "list item", bad)
	s.choose(t, "Qube", "work")
	s.app.Find(t, "", "Nothing was found")
	s.choose(t, "Outcome", "Any outcome")
	s.app.Find(t, "list item", good)
	s.app.Gone(t, "list item", bad)
	s.choose(t, "Qube", "All qubes")
	s.choose(t, "Time", "Last hour")
	s.app.Find(t, "list item", good)
	s.app.Find(t, "list item", bad)
}

func TestRegularExpressions(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.ran(t, "work", "echo abc-123")
	s.ran(t, "work", "echo abc-xyz")
	s.app.Find(t, "list item", "*echo abc-xyz*")
	s.app.Find(t, "", "Regular expression*").Toggle(t)
	search := s.app.Find(t, "search box", "Search what happened")
	search.SetText(t, `abc-\d+$`)
	s.app.Gone(t, "list item", "*echo abc-xyz*")
	s.app.Find(t, "list item", "*echo abc-123*")
	// One that is not finished leaves what is shown, and says what is wrong.
	search.SetText(t, `abc-(`)
	desktop.Await(t, "the field says what is wrong", func() bool {
		return strings.Contains(s.app.Find(t, "search box", "Search what happened").Description, "missing closing")
	})
	s.app.Find(t, "list item", "*echo abc-123*")
	search.SetText(t, `abc-([a-z]+)`)
	s.app.Find(t, "list item", "*echo abc-xyz*")
	desktop.Await(t, "the field has no fault any more", func() bool {
		return s.app.Find(t, "search box", "Search what happened").Description == ""
	})
}

// menu opens the menu beside the filters and takes what it names.
func (s *scene) menu(t *testing.T, item string) {
	t.Helper()
	s.app.Find(t, "button", "Verify and export*").Press(t)
	s.app.Find(t, "menu item", item).Press(t)
}

// export saves the record by the file dialog, and returns what was written.
func (s *scene) export(t *testing.T, item, file string) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	s.menu(t, item)
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

func TestExports(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.ran(t, "work", "echo '=cmd()' exported")
	s.app.Find(t, "list item", "*exported*")
	want := len(s.records(t, dbus.Filter{}))

	lines := bytes.Split(bytes.TrimSpace(s.export(t, "Export all as JSON lines…", "a.jsonl")), []byte("\n"))
	for _, l := range lines {
		if !json.Valid(l) {
			t.Errorf("no JSON: %.100q", l)
		}
	}
	if len(lines) != want {
		t.Errorf("%d lines of JSON for %d records", len(lines), want)
	}
	rows, err := csv.NewReader(bytes.NewReader(s.export(t, "Export all as a table (CSV)…", "a.csv"))).ReadAll()
	if err != nil || len(rows) != want+1 {
		t.Errorf("%d rows for a heading and %d records: %v", len(rows), want, err)
	}
	if text := s.export(t, "Export all as text…", "a.txt"); !bytes.Contains(text, []byte("exported")) {
		t.Errorf("the text has not the command:\n%s", text)
	}
}
