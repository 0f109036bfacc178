//go:build gtk

package gui

import (
	"testing"

	"qvmremote/dbus"
	"qvmremote/test/desktop"
	"qvmremote/test/gui/language"
	"qvmremote/test/life"
)

// german shows the overview of a program that was installed and speaks German.
func german(t *testing.T, o life.Options) (*scene, *language.Speaker) {
	t.Helper()
	speaker := language.Install(t, "../..", "install-admin", admin)
	s := prepare(t, 0, o)
	s.connect(t)
	s.run = s.Launch(t, []string{"QVM_REMOTE_BUS=" + s.BusAddress, language.Locale}, speaker.Program, "--page", "overview")
	s.app = s.App(t, "qvm-remote-admin")
	return s, speaker
}

// TestGerman: whoever reads German reads no English between, on any page and in
// the dialogs.
func TestGerman(t *testing.T) {
	t.Parallel()
	s, de := german(t, life.Options{Running: true})
	s.ran(t, "work", "echo out; echo err >&2; exit 2")
	press := func(role, name string) func() { return func() { s.app.Find(t, role, name).Press(t) } }
	key := func(name string) func() { return func() { s.Desktop.Key(t, name) } }
	s.visits(t, []spot{
		{"overview", key("ctrl+1"), [2]string{"switch", de.Say("Start at boot") + "*"}, ""},
		{"main menu", key("F10"), [2]string{"menu item", de.Say("About Qubes Remote")}, "Escape"},
		{"shortcuts", key("F1"), [2]string{"", de.Say("Keyboard shortcuts")}, "Escape"},
		{"qubes", key("ctrl+2"), [2]string{"", de.Say("Qubes that may ask dom0")}, ""},
		{"authorise", key("ctrl+n"), [2]string{"list item", "vault, *"}, ""},
		{"authorise, the way", press("list item", "vault, *"), [2]string{"", de.Say("Where its key comes from")}, "Escape"},
		{"a qube", press("list item", "work, *"), [2]string{"", de.Say("Fingerprint")}, "alt+Left"},
		{"requests", key("ctrl+3"), [2]string{"", de.Say("Nothing waits for you")}, ""},
		{"activity", key("ctrl+4"), [2]string{"list item", "*" + de.T("exit %d", 2) + ": echo out*"}, ""},
		{"a command", press("list item", "*"+de.T("exit %d", 2)+": echo out*"), [2]string{"label", de.Say("Steps in the record")}, "alt+Left"},
	}, func(name string) { de.NoEnglish(t, name, s.app) })
}

// TestStartAtBootTakesAJa: what must be typed is a word of the language that asks
// for it, and no other.
func TestStartAtBootTakesAJa(t *testing.T) {
	t.Parallel()
	s, de := german(t, life.Options{})
	s.app.Find(t, "switch", de.Say("Start at boot")+"*").Press(t)
	dialog := s.app.Find(t, "dialog", de.Say("Start at boot?"))
	de.NoEnglish(t, "the dialog", dialog)
	start, entry := dialog.Find(t, "button", de.Say("Start at boot")+"*"), dialog.Find(t, "text box", "")
	if entry.SetText(t, "yes"); start.Is(desktop.Sensitive) {
		t.Error("the button works with a word that was not asked for")
	}
	if entry.SetText(t, "ja"); !start.Is(desktop.Sensitive) {
		t.Error("the button does not work with the word")
	}
	start.Press(t)
	s.becomes(t, "it starts at boot", func(m dbus.Manager) bool { return m.StartsAtBoot })
}
