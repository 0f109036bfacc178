//go:build gtk

package gui

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// ofClass is a name that GTK made of a widget's class, as nobody gave it one.
var ofClass = regexp.MustCompile(`^(Gtk|Adw)[A-Z]`)

// frames are what only holds controls; GTK gives some of them the focus.
var frames = []string{"group", "list", "scroll bar", "widget"}

// nameless are the controls below n that a screen reader could only call by
// what they are. Buttons and rows may be named by the words in them.
func nameless(t *testing.T, n *desktop.Node) (all []string) {
	t.Helper()
	found := n.Such(t, func(c *desktop.Node) bool {
		named := c.Name != "" && !ofClass.MatchString(c.Name) || wordsIn(c) != ""
		return !named && c.Has(desktop.Focusable) && !slices.Contains(frames, c.Role)
	})
	for _, c := range found {
		if where := path(c); !strings.Contains(where, "Keyboard shortcuts <") { // all of it is GTK's own
			all = append(all, c.String()+" in "+where)
		}
	}
	return all
}

func wordsIn(n *desktop.Node) string {
	var words []string
	for _, c := range n.Children {
		if c.Role == "label" && !ofClass.MatchString(c.Name) {
			words = append(words, c.Name)
		}
		words = append(words, wordsIn(c))
	}
	return strings.TrimSpace(strings.Join(words, " "))
}

// path is where a node stands, by the names that there are.
func path(n *desktop.Node) string {
	var names []string
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	return strings.Join(names, " < ")
}

// spot is something that a person opens, and sees by what is to be found there.
type spot struct {
	name string
	open func()
	find [2]string
	shut string // key
}

// visits opens one after the other, and has each looked at.
func (s *scene) visits(t *testing.T, spots []spot, look func(name string)) {
	t.Helper()
	for _, one := range spots {
		one.open()
		s.app.Find(t, one.find[0], one.find[1])
		look(one.name)
		if one.shut != "" {
			s.Desktop.Key(t, one.shut)
			s.app.Gone(t, one.find[0], one.find[1])
		}
	}
}

// TestEveryControlHasAName, on every page and in every dialog.
func TestEveryControlHasAName(t *testing.T) {
	t.Parallel()
	s := open(t, life.Options{Running: true}, "overview")
	s.ran(t, "work", "echo out; echo err >&2; exit 2")
	press := func(role, name string) func() { return func() { s.app.Find(t, role, name).Press(t) } }
	key := func(name string) func() { return func() { s.Desktop.Key(t, name) } }
	s.visits(t, []spot{
		{"overview", key("ctrl+1"), [2]string{"button", "Cancel the command of dev*"}, ""},
		{"settings", press("list item", "Settings in force*"), [2]string{"list item", "QVM_REMOTE_VMS*"}, ""},
		{"start at boot", press("switch", "Start at boot*"), [2]string{"dialog", "Start at boot?"}, "Escape"},
		{"main menu", key("F10"), [2]string{"menu item", "About Qubes Remote"}, "Escape"},
		{"shortcuts", key("F1"), [2]string{"", "Keyboard shortcuts"}, "Escape"},
		{"qubes", key("ctrl+2"), [2]string{"list item", "work, label*"}, ""},
		{"authorise", key("ctrl+n"), [2]string{"list item", "vault, label*"}, ""},
		{"authorise, the way", press("list item", "vault, label*"), [2]string{"", "Where its key comes from"}, "Escape"},
		{"a qube", press("list item", "work, label*"), [2]string{"list item", "0 waiting*"}, "alt+Left"},
		{"requests", key("ctrl+3"), [2]string{"", "Nothing waits for you"}, ""},
		{"activity", key("ctrl+4"), [2]string{"list item", "*exit 2: echo out*"}, ""},
		{"menu of activity", press("button", "Verify and export*"), [2]string{"menu item", "Verify the record…"}, ""},
		{"verify", press("menu item", "Verify the record…"), [2]string{"dialog", "Verify the record"}, "Escape"},
		{"a command", press("list item", "*exit 2: echo out*"), [2]string{"label", "Steps in the record"}, "alt+Left"},
	}, func(name string) {
		for _, n := range nameless(t, s.app) {
			t.Errorf("%s: %s", name, n)
		}
	})
}
