package service

import (
	"os"
	"testing"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
)

// TestSettingsInForce: what an executor goes by is not always what the file
// says by now; without one it is.
func TestSettingsInForce(t *testing.T) {
	w := newWorld(t)
	c := w.client()
	write := func(text string) { // at once: half of a file would be settings, too
		t.Helper()
		must(t, os.WriteFile(w.root.Config()+".new", []byte(text), 0o600))
		must(t, os.Rename(w.root.Config()+".new", w.root.Config()))
	}
	check := func(code string, want map[string]string) {
		t.Helper()
		body, got := c.call("ListSettings")
		if got != code {
			t.Fatalf("%q, want %q", got, code)
		}
		var list []setting
		var file string
		if code != "" {
			return
		}
		must(t, godbus.Store(body, &list, &file))
		if file != w.root.Config() {
			t.Errorf("the file is %s", file)
		}
		for _, s := range list {
			if value, ok := want[s.Name]; ok && s.Value != value || s.About == "" {
				t.Errorf("%+v, want %q", s, value)
			}
			delete(want, s.Name)
		}
		if len(want) != 0 {
			t.Errorf("not told: %v", want)
		}
	}
	manager := w.manage()
	check("", map[string]string{"QVM_REMOTE_VMS": "", "QVM_REMOTE_STOP_WAIT": "30", "QVM_REMOTE_SPOOL_FREE": "512M", "QVM_REMOTE_TRANSPORT": "auto"})
	write("QVM_REMOTE_VMS='b a'\nQVM_REMOTE_STOP_WAIT=7\nQVM_REMOTE_SPOOL_FREE=1024\n")
	check("", map[string]string{"QVM_REMOTE_VMS": "b a", "QVM_REMOTE_STOP_WAIT": "7", "QVM_REMOTE_SPOOL_FREE": "1K"})
	write("QVM_REMOTE_STOP_WAIT=many\n")
	check(string(dbus.BadSettings), nil)
	manager.stop()

	write("QVM_REMOTE_STOP_WAIT=7\nQVM_REMOTE_SPOOL_FREE=1024\n")
	w.execute()
	write("QVM_REMOTE_STOP_WAIT=8\nQVM_REMOTE_SPOOL_FREE=4096\n")
	if _, code := c.call("Reload"); code != "" {
		t.Fatal(code)
	}
	check("", map[string]string{"QVM_REMOTE_STOP_WAIT": "8", "QVM_REMOTE_SPOOL_FREE": "1K"})
	write("QVM_REMOTE_STOP_WAIT=many\n")
	if _, code := c.call("Reload"); code != string(dbus.BadSettings) {
		t.Fatal(code)
	}
	check("", map[string]string{"QVM_REMOTE_STOP_WAIT": "8", "QVM_REMOTE_SPOOL_FREE": "1K"})
}
