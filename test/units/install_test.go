package units

import (
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// installed are the files of an installation, with their modes.
var installed = []string{
	"0755 usr/bin/qvm-remote-dom0",
	"0644 usr/lib/systemd/system/qvm-remote-dom0.service",
	"0644 usr/lib/systemd/system/qvm-remote-manage.service",
	"0644 usr/share/dbus-1/interfaces/org.qvmremote1.Manager.xml",
	"0644 usr/share/dbus-1/interfaces/org.qvmremote1.Qube.xml",
	"0644 usr/share/dbus-1/system-services/org.qvmremote1.service",
	"0644 usr/share/dbus-1/system.d/org.qvmremote1.conf",
	"0644 usr/share/licenses/qvm-remote-dom0/LICENSE",
	"0644 usr/share/polkit-1/actions/org.qvmremote1.policy",
	"0644 usr/share/qvm-remote/policy/power",
	"0644 usr/share/qvm-remote/policy/preferences",
	"0644 usr/share/qvm-remote/policy/read-only",
	"0644 usr/share/qvm-remote/policy/updates",
}

// files lists what is below root other than folders: links of an enabled unit,
// too.
func files(t *testing.T, root string) (list []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			rel, _ := filepath.Rel(root, path)
			list = append(list, fmt.Sprintf("%04o %s", info.Mode().Perm(), rel))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func runMake(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("no make here")
	}
	// A umask that a careful administrator may have.
	line := "umask 077 && exec make --no-print-directory -C ../.. " + strings.Join(args, " ")
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("make %q: %v\n%s", args, err, out)
	}
}

func TestInstallAndUninstall(t *testing.T) {
	t.Parallel()
	programs, dest := t.TempDir(), t.TempDir()
	write(t, filepath.Join(programs, "qvm-remote-dom0"), "program", 0o700)
	args := []string{"DESTDIR=" + dest, "PROGRAMS=" + programs}
	for range 2 { // an update is an installation, too
		runMake(t, append(args, "install-dom0")...)
		if got := files(t, dest); !slices.Equal(got, installed) {
			t.Errorf("installed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(installed, "\n"))
		}
	}
	for _, name := range []string{executor, manager} {
		if read(t, filepath.Join(dest, "usr/lib/systemd/system", name)) != read(t, unitFile(name)) {
			t.Errorf("%s was changed", name)
		}
	}
	write(t, filepath.Join(dest, "etc/qubes/remote.conf"), "", 0o600)
	runMake(t, append(args, "uninstall-dom0")...)
	if got := files(t, dest); !slices.Equal(got, []string{"0600 etc/qubes/remote.conf"}) {
		t.Errorf("left: %q", got)
	}
}

func TestInstallElsewhere(t *testing.T) {
	t.Parallel()
	programs, dest := t.TempDir(), t.TempDir()
	write(t, filepath.Join(programs, "qvm-remote-dom0"), "program", 0o755)
	runMake(t, "DESTDIR="+dest, "PROGRAMS="+programs, "PREFIX=/usr/local", "install-dom0")
	for _, path := range []string{"lib/systemd/system/" + executor, "lib/systemd/system/" + manager, "share/dbus-1/system-services/org.qvmremote1.service"} {
		text := read(t, filepath.Join(dest, "usr/local", path))
		if !strings.Contains(text, "=/usr/local/bin/qvm-remote-dom0") || strings.Contains(text, "=/usr/bin/") {
			t.Errorf("%s starts another program than the installed one", path)
		}
	}
}

// desktopInstalled are the files of an installation of the desktop program.
var desktopInstalled = []string{
	"0755 usr/bin/qvm-remote-admin",
	"0644 usr/share/applications/org.qvmremote.Admin.desktop",
	"0644 usr/share/icons/hicolor/scalable/apps/org.qvmremote.Admin.svg",
	"0644 usr/share/icons/hicolor/symbolic/apps/org.qvmremote.Admin-symbolic.svg",
	"0644 usr/share/licenses/qvm-remote-admin/LICENSE",
	"0644 usr/share/locale/de/LC_MESSAGES/qvm-remote-admin.mo",
	"0644 usr/share/man/man1/qvm-remote-admin.1",
	"0644 usr/share/metainfo/org.qvmremote.Admin.metainfo.xml",
}

func TestInstallDesktopProgram(t *testing.T) {
	t.Parallel()
	programs, dest := t.TempDir(), t.TempDir()
	write(t, filepath.Join(programs, "qvm-remote-admin"), "program", 0o700)
	write(t, filepath.Join(programs, "locale/de/LC_MESSAGES/qvm-remote-admin.mo"), "catalogue", 0o600)
	args := []string{"DESTDIR=" + dest, "PROGRAMS=" + programs, "CATALOGUES=" + filepath.Join(programs, "locale")}
	runMake(t, append(args, "install-admin")...)
	if got := files(t, dest); !slices.Equal(got, desktopInstalled) {
		t.Errorf("installed:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(desktopInstalled, "\n"))
	}
	runMake(t, append(args, "uninstall-admin")...)
	if got := files(t, dest); len(got) > 0 {
		t.Errorf("left: %q", got)
	}
}
