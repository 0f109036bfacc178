//go:build gtk

package gui

import (
	"strings"
	"testing"
	"unicode"

	"qvmremote/dbus"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// records are those of the log that fit, as the service tells another client.
func (s *scene) records(t *testing.T, f dbus.Filter) (all []dbus.Record) {
	t.Helper()
	for r, err := range s.client.Audit(t.Context(), f, 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	return all
}

func TestTimelineIsLive(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	s.app.Find(t, "list item", "*, dom0, started*")
	if a, err := s.Run(t.Context(), "work", "echo '<b>seen</b>' live; exit 7"); err != nil || a.Code != 7 {
		t.Fatalf("the command ended with %+v: %v", a, err)
	}
	finals := s.records(t, dbus.Filter{Events: []string{"final"}})
	if len(finals) != 1 {
		t.Fatalf("%d commands ended", len(finals))
	}
	s.app.Find(t, "list item", "*work, exit 7: echo '<b>seen</b>'*").Press(t)
	s.app.Find(t, "label", "Command")
	s.Desktop.Key(t, "alt+Left")
	s.app.Find(t, "label", "Activity")
}

// TestTimelineStaysAtItsTop: who looks at the newest event sees the next one, with
// whatever number of events below.
func TestTimelineStaysAtItsTop(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Records: 400}, "activity")
	above := s.app.Find(t, "", "Outcome")
	for _, script := range []string{"echo first", "echo second", "echo third"} {
		if _, err := s.Run(t.Context(), "work", script); err != nil {
			t.Fatal(err)
		}
		newest := s.app.Find(t, "list item", "*work, exit 0: "+script+"*")
		desktop.Await(t, script+" is in sight", func() bool {
			return newest.Bounds(t).Min.Y >= above.Bounds(t).Max.Y
		})
	}
}

func TestTimelineFilters(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{}, "activity")
	for qube, script := range map[string]string{"work": "echo needle-one", "dev": "echo needle-two; exit 3"} {
		if _, err := s.Run(t.Context(), qube, script); err != nil {
			t.Fatal(err)
		}
	}
	s.app.Find(t, "", "*work, exit 0: echo needle-one*")
	s.app.Find(t, "", "*dev, exit 3: echo needle-two*")

	search := s.app.Find(t, "", "Search what happened")
	search.SetText(t, "needle-TWO")
	s.app.Gone(t, "", "*work, exit 0: echo needle-one*")
	s.app.Find(t, "", "*dev, exit 3: echo needle-two*")

	search.SetText(t, "nowhere at all")
	s.app.Find(t, "", "Nothing was found")
}

// TestAFilterBeginsAtTheNewest, wherever one was.
func TestAFilterBeginsAtTheNewest(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Records: 400}, "activity")
	if _, err := s.Run(t.Context(), "work", "echo the newest"); err != nil {
		t.Fatal(err)
	}
	above := s.app.Find(t, "", "Outcome")
	s.app.Find(t, "list item", "*echo the newest*")
	width, height := s.Desktop.Size(t)
	s.Desktop.Point(t, width/2, height/2)
	desktop.Await(t, "there is a way back", func() bool {
		for range 20 {
			s.Desktop.Click(t, 5) // down
		}
		return len(s.app.FindAll(t, "button", "Newest")) > 0
	})
	s.choose(t, "Outcome", "Every record")
	desktop.Await(t, "the newest is in sight", func() bool {
		newest := s.app.Find(t, "list item", "*echo the newest*")
		return newest.Bounds(t).Min.Y >= above.Bounds(t).Max.Y
	})
}

func unseen(r rune) bool { return unicode.IsControl(r) && r != '\n' || unicode.In(r, unicode.Cf) }

// TestForeignTextIsShownAsText: nothing that a qube wrote reaches the screen
// but as characters that one sees.
func TestForeignTextIsShownAsText(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{History: true}, "activity")
	s.app.Find(t, "list item", "*<b>*")
	for _, page := range []string{"ctrl+4", "ctrl+2", "ctrl+1"} {
		s.Desktop.Key(t, page)
		for _, n := range s.app.Such(t, func(n *desktop.Node) bool { return strings.ContainsFunc(n.Name+n.Description, unseen) }) {
			t.Errorf("%s: something unseen is in %q, %q", page, n.Name, n.Description)
		}
	}
	if w, _ := s.Size(t); w != 1040 {
		t.Errorf("the window has become %d pixels wide", w)
	}
}
