//go:build system

package system

import (
	"strings"
	"testing"
)

// TestMachine: what every other test here builds on is as it is on a real
// machine, and stays over a reboot what it should.
func TestMachine(t *testing.T) {
	m := Boot(t)
	if failed := m.Must(t, "systemctl", "--failed", "--no-legend", "--plain"); failed != "" {
		t.Errorf("units that failed:\n%s", failed)
	}
	for _, state := range []string{"dbus.socket", "systemd-journald.service"} {
		m.Must(t, "systemctl", "is-active", state)
	}
	if id := m.Must(t, "busctl", "call", "org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetId"); !strings.HasPrefix(id, `s "`) {
		t.Errorf("the system bus answers %q", id)
	}
	m.Must(t, "busctl", "call", "org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority",
		"org.freedesktop.PolicyKit1.Authority", "EnumerateActions", "s", "")
	m.Must(t, "systemctl", "is-active", "polkit.service")

	for user, want := range map[string]string{"user": "user qubes", "stranger": "stranger", "nobody": "nogroup"} {
		if got, err := m.RunAs(user, "id", "--groups", "--name"); err != nil || strings.TrimSpace(got) != want {
			t.Errorf("groups of %s: %q, %v", user, got, err)
		}
	}

	m.WriteFile(t, "/etc/systemd/system/mark.service",
		"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n")
	m.Must(t, "systemctl", "daemon-reload")
	m.Must(t, "systemctl", "enable", "mark.service")
	if _, err := m.Run("systemctl", "is-active", "mark.service"); err == nil {
		t.Error("enabling a unit started it")
	}
	boot, id := "/proc/sys/kernel/random/boot_id", "/etc/machine-id"
	oldBoot, oldID := m.Must(t, "cat", boot), m.Must(t, "cat", id)
	m.Reboot(t)
	if m.Must(t, "cat", boot) == oldBoot {
		t.Error("a reboot was none")
	}
	if m.Must(t, "cat", id) != oldID {
		t.Error("a reboot lost a file")
	}
	m.Must(t, "systemctl", "is-active", "mark.service")
	if m.Journal(t, 10, "mark.service") == "" {
		t.Error("nothing in the journal of a unit that ran")
	}
}
