//go:build system

package system

import (
	"testing"

	"qvmremote/test/debian"
)

// bootable is the system that the tests boot. Both message buses are there, and
// dbus-daemon serves until a test says otherwise. Group qubes and user "user"
// are what dom0 has; the other user has nothing.
var bootable = debian.Kind{
	Name:     "image",
	Packages: []string{"systemd", "systemd-sysv", "dbus", "dbus-broker", "polkitd", "util-linux"},
	Hooks: []string{
		`chroot "$1" groupadd --system qubes`,
		`chroot "$1" useradd --create-home --groups qubes user`,
		`chroot "$1" useradd --create-home stranger`,
		`chroot "$1" install -d -m 2770 -g qubes /var/log/qubes`,
		`chroot "$1" install -d -m 2755 -g systemd-journal /var/log/journal`,
		`chroot "$1" systemctl mask systemd-firstboot.service apt-daily.timer apt-daily-upgrade.timer ` +
			`dpkg-db-backup.timer e2scrub_all.timer fstrim.timer`,
		`rm "$1/etc/systemd/system/dbus.service"`,
		`printf "dom0\n" >"$1/etc/hostname"`,
	},
}

// Image returns the tree to boot, made at the first use and cached by the hash
// of what makes it. It is not to be changed.
func Image(t *testing.T) debian.Tree {
	t.Helper()
	tree, err := debian.Open(t.Context(), bootable)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tree.Close() })
	return tree
}
