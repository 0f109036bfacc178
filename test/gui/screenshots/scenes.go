package main

import (
	"context"
	"slices"
	"strings"
	"syscall"
	"time"

	"qvmremote/dbus"
	"qvmremote/test/desktop"
	"qvmremote/test/life"
)

// scene is one picture: a page, and what is done until there is to be seen what
// is wanted.
type scene struct {
	name, page string
	act        func(*stage)
	narrow     bool // there is such a thing only where the sidebar is folded
	wide       bool // GTK makes the window, of its own width, which is more than a narrow one has
	minor      bool // light and narrow will do
	guest      bool // of the program in a qube
}

// lively are scenes of a dom0 in full swing that leave it as it is.
var lively = []scene{
	{name: "overview", page: "overview", act: func(s *stage) { s.find("label", "Last events") }},
	{name: "overview-end", page: "overview", act: func(s *stage) { s.find("list item", "*exit 0*"); s.down() }},
	{name: "overview-chart", page: "overview", act: func(s *stage) { s.find("list item", "*exit 0*"); s.turn(9) }},
	{name: "overview-numbers", minor: true, page: "overview", act: func(s *stage) { s.press("", "In numbers"); s.down() }},
	{name: "overview-settings", minor: true, page: "overview", act: func(s *stage) { s.press("list item", "Settings in force*"); s.down() }},
	{name: "boot", page: "overview", act: func(s *stage) { s.press("switch", "Start at boot*"); s.find("dialog", "Start at boot?") }},
	{name: "boot-typed", minor: true, page: "overview", act: func(s *stage) {
		s.press("switch", "Start at boot*")
		s.find("dialog", "Start at boot?").Find(s, "text box", "").SetText(s, "yes")
	}},
	{name: "stop", minor: true, page: "overview", act: func(s *stage) { s.press("button", "Stop…"); s.find("dialog", "Stop the service?") }},
	{name: "stop-everything", page: "overview", act: func(s *stage) { s.press("button", "Stop everything*"); s.find("dialog", "Stop everything?") }},
	{name: "cancel", minor: true, page: "overview", act: func(s *stage) { s.press("button", "Cancel the command*"); s.find("dialog", "Cancel this command?") }},
	{name: "sidebar", minor: true, page: "overview", narrow: true, act: func(s *stage) { s.press("button", "Back*"); s.find("list item", "Activity") }},
	{name: "menu", page: "overview", act: openMenu},
	{name: "about", wide: true, page: "overview", act: func(s *stage) {
		openMenu(s)
		s.key("Down", "Down", "Down", "Down", "Down", "Down", "Down", "Down", "Return") // the last one
		s.find("", "About Qubes Remote*")
	}},
	{name: "shortcuts", wide: true, page: "overview", act: func(s *stage) { s.find("label", "Last events"); s.key("F1"); s.find("", "Keyboard shortcuts*") }},

	{name: "qubes", page: "qubes", act: func(s *stage) { s.find("list item", "work*") }},
	{name: "qube", page: "qubes", act: openQube},
	{name: "rules", page: "qubes", act: func(s *stage) {
		openQube(s)
		s.press("button", "Edit…*")
		dialog := s.find("dialog", "Rules*")
		text := dialog.Find(s, "text box", "Rules*")
		text.AwaitState(s, desktop.Editable, true)
		text.SetText(s, "# what work may do in dom0\nallow qvm-ls **\nallow qvm-prefs work memory 256..8192\ndeny qvm-prefs **\nask **\nlimit requests 30/min\n")
		dialog.Find(s, "text box", "What would happen to…*").SetText(s, "qvm-prefs work memory 16384")
		dialog.Find(s, "label", "It would be denied")
		dialog.Find(s, "button", "Why*").Press(s)
	}},
	{name: "rules-wrong", minor: true, page: "qubes", act: func(s *stage) {
		openQube(s)
		s.press("button", "Edit…*")
		dialog := s.find("dialog", "Rules*")
		text := dialog.Find(s, "text box", "Rules*")
		text.AwaitState(s, desktop.Editable, true)
		text.SetText(s, "allow qvm-ls **\nforbid qvm-kill\n")
		dialog.Find(s, "label", "*a line begins with*")
	}},
	{name: "qube-end", minor: true, page: "qubes", act: func(s *stage) { openQube(s); s.down() }},
	{name: "copied", minor: true, page: "qubes", act: func(s *stage) {
		openQube(s)
		s.press("button", "Copy the fingerprint*")
		s.find("", "The fingerprint was copied.")
	}},
	{name: "clean", minor: true, page: "qubes", act: func(s *stage) { openQube(s); s.press("button", "Clean…*"); s.find("dialog", "Clean the queue?") }},
	{name: "shut-down", minor: true, page: "qubes", act: func(s *stage) {
		openQube(s)
		s.below("Shut down")
		s.find("dialog", "Shut down work?")
	}},
	{name: "revoke", minor: true, page: "qubes", act: func(s *stage) {
		openQube(s)
		s.below("Revoke")
		s.find("dialog", "Revoke work?")
	}},
	{name: "disconnect", minor: true, page: "qubes", act: func(s *stage) {
		openQube(s)
		s.below("Disconnect")
		s.find("dialog", "Disconnect work?")
	}},

	{name: "authorise", page: "qubes", act: func(s *stage) { s.press("button", "Authorise…*"); s.find("list item", "vault*") }},
	{name: "authorise-none", minor: true, page: "qubes", act: func(s *stage) {
		s.press("button", "Authorise…*")
		dialog := s.find("dialog", "Authorise a qube")
		dialog.Find(s, "list item", "vault*")
		dialog.Find(s, "search box", "Find a qube").SetText(s, "no such qube")
		dialog.Find(s, "label", "There is no such qube.")
	}},
	{name: "authorise-way", page: "qubes", act: func(s *stage) { s.choose("personal") }},
	{name: "authorise-paste", minor: true, page: "qubes", act: func(s *stage) { s.choose(life.Stranger) }},
	{name: "authorise-paste-wrong", minor: true, page: "qubes", act: func(s *stage) { s.paste(life.Stranger, "0123456789") }},
	{name: "authorise-make", minor: true, page: "qubes", act: func(s *stage) {
		dialog := s.choose("personal")
		dialog.Find(s, "button", "Next*").Press(s)
		dialog.Find(s, "checkbox", "Replace its key*")
	}},
	{name: "authorise-compare", page: "qubes", act: func(s *stage) {
		dialog := s.choose("personal")
		dialog.Find(s, "list item", "Fetch the one it has*").Press(s)
		dialog.Find(s, "button", "Next*").Press(s)
		dialog.Find(s, "label", "Run “qvm-remote status”*")
	}},

	{name: "requests-none", minor: true, page: "requests", act: func(s *stage) { s.find("", "Nothing waits for you") }},

	{name: "activity", page: "activity", act: func(s *stage) { s.find("list item", "*work*") }},
	{name: "activity-menu", minor: true, page: "activity", act: func(s *stage) { s.menu("Verify and export") }},
	{name: "filters", page: "activity", act: func(s *stage) {
		s.find("list item", "*work*")
		s.key("ctrl+f", "Tab", "Tab")
		if s.look.narrow() {
			s.key("space", "Tab") // shows them
		}
		s.key("Tab", "Tab", "space")
	}},
	{name: "search-nothing", minor: true, page: "activity", act: func(s *stage) {
		s.find("search box", "Search what happened").SetText(s, "nothing like this")
		s.find("", "Nothing was found")
	}},
	{name: "pattern-wrong", minor: true, page: "activity", act: func(s *stage) {
		field := s.find("search box", "Search what happened")
		s.key("ctrl+f", "Tab", "space")
		field.SetText(s, "(echo")
		s.find("", "*regular expression*")
	}},
	{name: "record", page: "activity", act: func(s *stage) { s.record(15, "Command") }},
	{name: "record-end", minor: true, page: "activity", act: func(s *stage) { s.record(15, "Command"); s.down() }},
	{name: "record-failed", page: "activity", act: func(s *stage) { s.record(16, "Command") }},
	{name: "record-denied", minor: true, page: "activity", act: func(s *stage) { s.record(3, "Command") }},
	{name: "record-event", minor: true, page: "activity", act: func(s *stage) { s.record(1, "Record") }},
	{name: "hostile-markup", minor: true, page: "activity", act: func(s *stage) { s.record(13, "Command") }},
	{name: "hostile-escapes", minor: true, page: "activity", act: func(s *stage) { s.record(12, "Command") }},
	{name: "hostile-bidi", minor: true, page: "activity", act: func(s *stage) { s.record(11, "Command") }},
	{name: "hostile-long", minor: true, page: "activity", act: func(s *stage) { s.record(9, "Command") }},
	{name: "hostile-command", minor: true, page: "activity", act: func(s *stage) { s.record(14, "Command") }},
	{name: "verify", minor: true, page: "activity", act: func(s *stage) { s.verify() }},
	{name: "verify-result", page: "activity", act: func(s *stage) {
		dialog := s.verify()
		dialog.Find(s, "button", "Verify").Press(s)
		dialog.Find(s, "label", "*records.*")
	}},
	{name: "verify-wrong", minor: true, page: "activity", act: func(s *stage) {
		dialog := s.verify()
		dialog.Find(s, "text box", "").SetText(s, "this is none")
		dialog.Find(s, "button", "Verify").Press(s)
		dialog.Find(s, "", "*checkpoint*")
	}},
	{name: "export", minor: true, page: "activity", act: func(s *stage) {
		s.menu("Verify and export")
		s.key("Down", "Down", "Return")
		s.find("", "Export the record")
	}},
}

func openQube(s *stage) {
	s.press("list item", "work*")
	s.find("label", "*waiting · *")
}

// below presses a button that stands somewhere below the first one of a qube's
// queue, which the keyboard leads to. GTK 4.8 tells assistive technology of what
// is out of sight when it likes.
func (s *stage) below(name string) {
	s.find("button", "Clean…*").Focus(s)
	for range 10 {
		at := s.app.Focused(s).Name
		if strings.HasPrefix(at, name) {
			s.key("Return")
			return
		}
		s.key("Tab")
		desktop.Await(s, "the focus moves on from "+at, func() bool { return s.app.Focused(s).Name != at })
	}
	s.Fatalf("Tab does not lead to %s", name)
}

// openMenu opens the main menu by its key, with its first item chosen.
func openMenu(s *stage) {
	s.find("label", "Last events")
	s.key("F10")
	s.opened("Main menu*")
}

// opened waits until a button's menu is open. GTK 4.8 tells assistive technology
// nothing of what is in a menu; later ones mark another part of the button.
func (s *stage) opened(button string) {
	desktop.Await(s, button+" is open", func() bool {
		return slices.ContainsFunc(s.app.FindAll(s, "", button), func(n *desktop.Node) bool {
			return n.Is(desktop.Expanded) || n.Is(desktop.Pressed)
		})
	})
}

// record opens a row of the timeline by the keys, counted from the newest of
// what [life.House.LiveThrough] left there, and waits for the window's title.
func (s *stage) record(n int, title string) {
	s.find("list", "What happened*").Find(s, "list item", "*running*")
	for range n {
		s.key("Down")
	}
	s.key("Return")
	s.find("label", title)
}

// menu opens the menu of a button, with its first item chosen.
func (s *stage) menu(button string) {
	s.press("", button+"*")
	s.opened(button + "*")
}

// paste types a key for a qube.
func (s *stage) paste(qube, key string) *desktop.Node {
	dialog := s.choose(qube)
	dialog.Find(s, "", "Key of the qube*").SetText(s, key)
	return dialog
}

func (s *stage) verify() *desktop.Node {
	s.menu("Verify and export")
	s.key("Return")
	return s.find("dialog", "Verify the record")
}

// soon bounds what a scene asks of the house.
const soon = time.Minute

// ask asks the house's service for something.
func (s *stage) ask(order func(context.Context, *dbus.Client) error) {
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	s.must(order(ctx, s.house.client))
}

// changing are scenes after which the house is put back.
var changing = []scene{
	{name: "authorise-done", minor: true, page: "qubes", act: func(s *stage) {
		s.undo = append(s.undo, func() {
			s.ask(func(ctx context.Context, c *dbus.Client) error {
				_, _, err := c.DisconnectQube(ctx, life.Stranger)
				return err
			})
		})
		dialog := s.paste(life.Stranger, strings.Repeat("0123456789abcdef", 4))
		dialog.Find(s, "button", "Next*").Press(s)
		dialog.Find(s, "checkbox", "The qube shows*").Press(s)
		dialog.Find(s, "button", "Authorise*").Press(s)
		dialog.Find(s, "", life.Stranger+" is authorised")
	}},
}

// asked are scenes where requests wait.
var asked = []scene{
	{name: "requests", page: "requests", act: func(s *stage) { s.find("list item", "work, label*"); s.find("list item", "*# Update the template*") }},
	{name: "request", page: "requests", act: func(s *stage) { s.request("personal") }},
	{name: "request-changed", page: "requests", act: func(s *stage) { s.request("work") }},
	{name: "request-end", minor: true, page: "requests", act: func(s *stage) { s.request("work"); s.down() }},
	{name: "request-scopes", page: "requests", act: func(s *stage) {
		s.request("work")
		s.press("", "Approve for…*")
		s.find("button", "Approve it, and the same command for 10 minutes*")
	}},
	{name: "lasting", page: "qubes", act: func(s *stage) {
		s.press("list item", "dev, label*")
		s.find("list item", "Whatever it asks*")
	}},
	{name: "asked", page: "overview", act: func(s *stage) { s.find("label", "2 qubes ask*") }},
	{name: "sidebar-asked", minor: true, page: "overview", narrow: true, act: func(s *stage) { s.press("button", "Back*"); s.find("list item", "Requests, 2 waiting") }},
}

// request opens the request of a qube and waits until it can be decided about.
func (s *stage) request(qube string) {
	s.press("list item", qube+", label*")
	s.find("button", "Approve once*").AwaitState(s, desktop.Sensitive, true)
}

// paused needs attention, which every page says above it.
var paused = []scene{
	{name: "paused", page: "overview", act: func(s *stage) { s.find("label", "Needs attention") }},
	{name: "attention", page: "activity", act: func(s *stage) { s.find("list item", "*paused*"); s.find("button", "Show*") }},
}

// restarting keeps on the screen what was known.
var restarting = []scene{
	{name: "restarting", minor: true, page: "overview", act: func(s *stage) {
		s.find("list item", "work*")
		s.undo = append(s.undo, s.managerBack)
		// What the bus starts in the service's place never answers.
		s.must(s.house.Bus.Activate(dbus.Name, "sleep", []string{"5"}, nil))
		var pid uint32
		conn, err := s.house.Bus.Dial()
		s.must(err)
		defer conn.Close()
		s.must(conn.BusObject().Call("org.freedesktop.DBus.GetConnectionUnixProcessID", 0, dbus.Name).Store(&pid))
		s.must(syscall.Kill(int(pid), syscall.SIGKILL))
		s.find("", "The service is restarting*")
	}},
}

// managerBack waits until the service answers again.
func (s *stage) managerBack() {
	s.must(s.house.ActivateManager())
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	desktop.Await(s, "the service answers", func() bool {
		_, err := s.house.client.ReadManager(ctx)
		return err == nil
	})
}

var stopped = []scene{
	{name: "stopped", page: "overview", act: func(s *stage) { s.find("label", "Stopped"); s.find("list item", "*stopped*") }},
}

// strange are those of a first run.
var strange = []scene{
	{name: "first-run", page: "overview", act: func(s *stage) { s.find("label", "How to begin") }},
	{name: "first-run-end", minor: true, page: "overview", act: func(s *stage) { s.find("label", "How to begin"); s.down() }},
	{name: "first-run-qubes", minor: true, page: "qubes", act: func(s *stage) { s.find("", "No qube is authorised") }},
	{name: "first-run-activity", minor: true, page: "activity", act: func(s *stage) { s.find("", "Nothing has happened yet") }},
}

// reason is the scene of a page that stands where there is nothing to show.
func reason(name, title string) []scene {
	return []scene{{name: name, minor: name != "denied", page: "overview", act: func(s *stage) { s.find("", title) }}}
}
