package units

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	packaging = "../../packaging"
	executor  = "qvm-remote-dom0.service"
	manager   = "qvm-remote-manage.service"
)

// analyze runs systemd-analyze, which says what it found and whether all is well.
func analyze(t *testing.T, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze here; `make setup-test` installs it")
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_PAGER=cat", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func unitFile(name string) string { return filepath.Join(packaging, "systemd", name) }

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// TestSystemdUnderstandsTheUnits: in a root with the program and the units that
// ours name, nothing is wrong with them.
func TestSystemdUnderstandsTheUnits(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	units := filepath.Join(root, "usr/lib/systemd/system")
	write(t, filepath.Join(root, "usr/bin/qvm-remote-dom0"), "#!/bin/sh\n", 0o755)
	for _, target := range []string{"sysinit", "basic", "shutdown", "multi-user", "network-pre", "umount"} {
		write(t, filepath.Join(units, target+".target"), "[Unit]\nDescription=stand-in\n", 0o644)
	}
	write(t, filepath.Join(units, "dbus.socket"), "[Socket]\nListenStream=/run/dbus/system_bus_socket\n", 0o644)
	for _, service := range []string{"dbus", "qubesd"} {
		write(t, filepath.Join(units, service+".service"), "[Service]\nExecStart=/usr/bin/qvm-remote-dom0\n", 0o644)
	}
	for _, name := range []string{executor, manager} {
		write(t, filepath.Join(units, name), read(t, unitFile(name)), 0o644)
	}
	args := []string{"--root=" + root, "--man=no", "--recursive-errors=no", "verify", filepath.Join(units, executor), filepath.Join(units, manager)}
	if out, err := analyze(t, args...); err != nil || strings.TrimSpace(out) != "" {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	write(t, filepath.Join(units, executor), read(t, unitFile(executor))+"\n[Service]\nWatchdogSecs=1\n", 0o644)
	if out, _ := analyze(t, args...); !strings.Contains(out, "WatchdogSecs") {
		t.Errorf("a directive that systemd does not know goes unseen:\n%s", out)
	}
}

// exposure is systemd's judgement of a unit, 0 to 10.
func exposure(t *testing.T, unit string) float64 {
	t.Helper()
	out, err := analyze(t, "security", "--offline=yes", "--no-pager", unitFile(unit))
	if err != nil {
		t.Skipf("this systemd-analyze cannot judge a file: %v: %s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`).FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("no judgement in:\n%s", out)
	}
	level, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	return level
}

func TestManagerIsConfined(t *testing.T) {
	t.Parallel()
	if level := exposure(t, manager); level > 2.5 {
		t.Errorf("exposure %.1f, promised at most 2.5", level)
	}
}

// TestExecutorIsWhatItSaysItIs: the unit tells its reader how open it is.
func TestExecutorIsWhatItSaysItIs(t *testing.T) {
	t.Parallel()
	m := regexp.MustCompile("`systemd-analyze security` rates that ([0-9.]+) of 10").FindStringSubmatch(read(t, unitFile(executor)))
	if m == nil {
		t.Fatal("the unit does not say how systemd rates it")
	}
	told, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		t.Fatal(err)
	}
	// Versions of systemd count a little differently.
	if level := exposure(t, executor); level < told-0.3 || level > told+0.3 {
		t.Errorf("exposure %.1f, the unit says %.1f", level, told)
	}
}

// usual are the directives that a reviewer looks for.
var usual = strings.Fields(`
	AmbientCapabilities CapabilityBoundingSet DeviceAllow DevicePolicy DynamicUser IPAddressDeny KeyringMode
	LockPersonality MemoryDenyWriteExecute NoNewPrivileges PrivateDevices PrivateNetwork PrivateTmp PrivateUsers
	ProcSubset ProtectClock ProtectControlGroups ProtectHome ProtectHostname ProtectKernelLogs ProtectKernelModules
	ProtectKernelTunables ProtectProc ProtectSystem RemoveIPC RestrictAddressFamilies RestrictFileSystems
	RestrictNamespaces RestrictRealtime RestrictSUIDSGID RootDirectory SystemCallArchitectures SystemCallFilter UMask User
	NotifyAccess Restart RuntimeDirectory RuntimeDirectoryMode RuntimeDirectoryPreserve StateDirectory StateDirectoryMode
	TimeoutStartSec TimeoutStopSec Type`)

// unsaid lists the directives that text neither sets nor mentions in a comment.
func unsaid(text string) []string {
	var missing []string
	for _, d := range usual {
		if !regexp.MustCompile(`(?m)^` + d + `=|^#.*\b` + d + `\b`).MatchString(text) {
			missing = append(missing, d)
		}
	}
	return missing
}

func TestEachDirectiveIsSetOrExplained(t *testing.T) {
	t.Parallel()
	for _, name := range []string{executor, manager} {
		if missing := unsaid(read(t, unitFile(name))); len(missing) > 0 {
			t.Errorf("%s neither sets nor explains %s", name, strings.Join(missing, ", "))
		}
	}
	if missing := unsaid("User=root\n# not PrivateUsers: no\nPrivateTmpX=1\n"); len(missing) != len(usual)-2 {
		t.Errorf("the check sees %q", missing)
	}
}

// TestWhatTheDaemonRestsOn: what architecture and settings say of the units.
func TestWhatTheDaemonRestsOn(t *testing.T) {
	t.Parallel()
	for name, lines := range map[string][]string{
		executor: {"Type=notify", "NotifyAccess=main", "WatchdogSec=180", "KillMode=mixed", "TimeoutStopSec=60", "Delegate=yes",
			"RuntimeDirectoryPreserve=yes", "RuntimeDirectoryMode=0700", "StateDirectoryMode=0700", "WantedBy=multi-user.target"},
		manager: {"Type=notify", "BusName=org.qvmremote1", "RuntimeDirectoryPreserve=yes", "RuntimeDirectoryMode=0700", "StateDirectoryMode=0700"},
	} {
		text := []byte("\n" + read(t, unitFile(name)))
		for _, line := range lines {
			if !bytes.Contains(text, []byte("\n"+line+"\n")) {
				t.Errorf("%s lacks %s", name, line)
			}
		}
		if name == executor && bytes.Contains(text, []byte("\nBusName=")) || name == manager && bytes.Contains(text, []byte("\n[Install]")) {
			t.Errorf("%s says what the other does", name)
		}
	}
	if !strings.Contains(read(t, filepath.Join(packaging, "dbus/org.qvmremote1.service")), "\nSystemdService="+manager+"\n") {
		t.Error("the bus does not start " + manager)
	}
}
