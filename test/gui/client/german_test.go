//go:build gtk

package client

import (
	"testing"

	"qvmremote/queue"
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
