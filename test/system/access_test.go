//go:build system

package system

import "testing"

const notAuthorized = busName + ".Error.NotAuthorized"

// access: the bus lets root and the group qubes in, polkit decides for who is
// not root.
func (d *dom0) access(t *testing.T) {
	for _, user := range []string{"stranger", "nobody"} {
		for _, method := range []string{"ListQubes", "Start", "StopEverything"} {
			if got := d.denied(user, method); got != "org.freedesktop.DBus.Error.AccessDenied" {
				t.Errorf("%s calls %s: %q", user, method, got)
			}
		}
		if got, err := d.property(user, "State"); err == nil {
			t.Errorf("%s reads State: %s", user, got)
		}
	}
	if got, err := d.property("user", "State"); err != nil || got != `s "stopped"` {
		t.Errorf("a member of qubes reads State: %s, %v", got, err)
	}

	// nobody has said anything: a password of root's is asked for, and there is
	// nobody to give it
	d.decides(t, "", notAuthorized)
	d.decides(t, "polkit.Result.NO", notAuthorized)
	if got := d.denied("", "Pause"); got != "" {
		t.Errorf("polkit's no also holds for root: %q", got)
	}
	if got := d.denied("", "Resume"); got != "" {
		t.Errorf("root calls Resume: %q", got)
	}
	d.decides(t, "polkit.Result.YES", "")
	d.active(t, "inactive", "active")

	// no rule of polkit lets anybody past the bus
	if got := d.denied("stranger", "Start"); got != "org.freedesktop.DBus.Error.AccessDenied" {
		t.Errorf("stranger calls Start while polkit says yes: %q", got)
	}
	d.rule(t, "")

	d.Must(t, "systemctl", "mask", "--now", "polkit.service")
	for _, method := range []string{"AvailableQubes", "Pause"} {
		if got := d.denied("user", method); got != notAuthorized {
			t.Errorf("there is no polkit, a member of qubes calls %s: %q", method, got)
		}
	}
	if got := d.denied("", "Resume"); got != "" {
		t.Errorf("there is no polkit, root calls Resume: %q", got)
	}
	d.Must(t, "systemctl", "unmask", "polkit.service")
}

// decides: with this answer of polkit's to all our actions, a member of qubes
// gets this error from methods of three different actions.
func (d *dom0) decides(t *testing.T, result, want string) {
	t.Helper()
	d.rule(t, result)
	for _, call := range [][]string{{"AvailableQubes"}, {"DisableAtBoot"}, {"Pause"}, {"Resume"}} {
		if got := d.denied("user", call[0], call[1:]...); got != want {
			t.Errorf("polkit says %q, a member of qubes calls %s: %q, want %q", result, call[0], got, want)
		}
	}
}

// rule makes polkit answer so for our actions; "" is what comes with polkit.
func (d *dom0) rule(t *testing.T, result string) {
	t.Helper()
	const file = "/etc/polkit-1/rules.d/10-test.rules"
	d.Must(t, "rm", "-f", file)
	if result != "" {
		d.WriteFile(t, file, `polkit.addRule(function(action, subject) {
	if (action.id.indexOf("org.qvmremote1.") == 0) return `+result+`;
});
`)
	}
	d.Must(t, "systemctl", "restart", "polkit.service")
}
