//go:build gtk

package client

import (
	"os"
	"testing"

	"qvmremote/gui/prefs"
	"qvmremote/queue"
	"qvmremote/test/desktop"
	"qvmremote/test/gui/language"
	"qvmremote/test/life"
)

// TestGerman: whoever reads German reads no English between, on any page, also
// where dom0 says why it denies a command.
func TestGerman(t *testing.T) {
	t.Parallel()
	de := language.Install(t, "../../..", "install-gui", program)
	s := prepare(t, life.Options{Rules: "allow echo **\n"})
	s.run = s.Launch(t, []string{language.Locale}, de.Program, "--page", "run")
	s.app = s.App(t, "qvm-remote-gui")
	s.app.Find(t, "text box", de.Say("Command for dom0")).SetText(t, "true")
	s.Desktop.Key(t, "ctrl+Return")
	s.app.Find(t, "label", "*Keine Regel von dom0 für diese Qube*")
	if r := s.ended(t, queue.StateDenied); r.Reason != string(queue.NoRule) {
		t.Errorf("dom0 denied it for %s", r.Reason)
	}
	de.NoEnglish(t, "a command that was denied", s.app)
	for key, title := range map[string]string{
		"ctrl+2": "History", "ctrl+3": "Files", "ctrl+4": "Key", "ctrl+5": "Queue", "ctrl+6": "Log", "ctrl+7": "Backup",
	} {
		s.Desktop.Key(t, key)
		s.onPage(t, de.Say(title))
		de.NoEnglish(t, title, s.app)
	}
	s.Desktop.Key(t, "F10")
	s.app.Find(t, "menu item", de.Say("About Qubes Remote"))
	de.NoEnglish(t, "the menu", s.app)
}

// TestGermanFitsANarrowWindow: its words are longer, and a window that they make
// wider than a screen of 360 px never comes back.
func TestGermanFitsANarrowWindow(t *testing.T) {
	t.Parallel()
	de := language.Install(t, "../../..", "install-gui", program)
	s := prepare(t, life.Options{})
	s.left(t, func(p *prefs.Prefs) { p.Width, p.Height = 360, 720 })
	s.run = s.Launch(t, []string{language.Locale}, de.Program, "--page", "run")
	s.app = s.App(t, "qvm-remote-gui")
	fits := func(where string) {
		t.Helper()
		if w, _ := s.Size(t); w != 360 {
			t.Errorf("%s: the window has become %d wide", where, w)
		}
	}
	s.app.Find(t, "text box", de.Say("Command for dom0")).SetText(t, "echo out; echo err >&2")
	s.Desktop.Key(t, "ctrl+Return")
	s.app.Find(t, "label", de.Say("Done: exit 0"))
	fits("a command that ran")
	for _, page := range []struct{ key, find string }{
		{"ctrl+3", "Send to dom0"}, {"ctrl+4", "Fingerprint"}, {"ctrl+7", "Git repository"},
	} {
		s.Desktop.Key(t, page.key)
		s.app.Find(t, "", de.Say(page.find)+"*")
		fits(page.find)
	}
	s.Desktop.Key(t, "ctrl+2")
	s.app.Find(t, "list item", "*echo out*").Press(t)
	s.app.Find(t, "button", de.Say("Load into Run")+"*")
	fits("a past command")
	s.app.Find(t, "button", de.Say("Delete")+"*").Press(t)
	s.app.Find(t, "button", de.Say("Undo"))
	fits("what can be undone")
	s.Desktop.Key(t, "ctrl+4")
	if err := os.Remove(s.Layout(qube).Key()); err != nil {
		t.Fatal(err)
	}
	s.app.Find(t, "button", de.Say("Make a key")+"*")
	fits("the guide through pairing")
}

// TestErrorsSpeakGerman, also where a package says them that knows no language.
func TestErrorsSpeakGerman(t *testing.T) {
	t.Parallel()
	de := language.Install(t, "../../..", "install-gui", program)
	s := prepare(t, life.Options{})
	s.run = s.Launch(t, []string{language.Locale}, de.Program, "--page", "key")
	s.app = s.App(t, "qvm-remote-gui")
	button := s.app.Find(t, "button", de.Say("Import…")+"*")
	button.AwaitState(t, desktop.Sensitive, true)
	button.Press(t)
	dialog := s.app.Find(t, "dialog", de.Say("Import a key"))
	dialog.Find(t, "", de.Say("Key"))
	s.Desktop.Type(t, "no key")
	dialog.Find(t, "label", "Ungültiger Schlüssel (64 Hexadezimalziffern werden erwartet).")
}
