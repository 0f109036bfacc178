//go:build system

package system

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/sim/proctree"
)

// Command is a command in the machine, run as the named user ("" for root)
// with that user's groups and a clean environment. Killing it by its context
// kills what it started in its process group.
func (m *Machine) Command(ctx context.Context, user string, args ...string) *exec.Cmd {
	argv := []string{"--target", strconv.Itoa(m.leader), "--mount", "--uts", "--ipc", "--net", "--pid", "--wd=/",
		"--", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "LANG=C.UTF-8", "SYSTEMD_PAGER=",
		"SYSTEMD_COLORS=0", "HOME=" + home(user)}
	if user != "" {
		argv = append(argv, "setpriv", "--reuid="+user, "--regid="+group(user), "--init-groups", "--")
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(argv, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func home(user string) string {
	switch user {
	case "":
		return "/root"
	case "nobody":
		return "/"
	}
	return "/home/" + user
}

func group(user string) string {
	if user == "nobody" {
		return "nogroup"
	}
	return user
}

// output runs a command and returns what it said on stdout; the error has what
// it said on stderr.
func (m *Machine) output(ctx context.Context, user string, args ...string) (string, error) {
	var out, complaint tail
	cmd := m.Command(ctx, user, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = errors.Join(err, ctx.Err())
		}
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}

// Run runs a command as root and returns its output, of which the last 16 KiB.
// The error has what the command said on stderr.
func (m *Machine) Run(args ...string) (string, error) { return m.RunAs("", args...) }

// RunAs is Run as another user of the machine.
func (m *Machine) RunAs(user string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	return m.output(ctx, user, args...)
}

// Must is Run for what has to work; the output comes without the last newline.
func (m *Machine) Must(t *testing.T, args ...string) string {
	t.Helper()
	out, err := m.Run(args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return strings.TrimSuffix(out, "\n")
}

// Install puts the tree that `make install-dom0` made in folder into the
// machine, as a package would be unpacked: files are replaced, not written to.
func (m *Machine) Install(t *testing.T, folder string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	pack := exec.CommandContext(ctx, "tar", "-C", folder, "--owner=root:0", "--group=root:0", "-c", ".")
	unpack := m.Command(ctx, "", "tar", "-C", "/", "-x", "--no-overwrite-dir", "--keep-directory-symlink")
	var said tail
	pack.Stderr, unpack.Stderr, unpack.Stdout = &said, &said, &said
	var err error
	if unpack.Stdin, err = pack.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err = pack.Start(); err != nil {
		t.Fatal(err)
	}
	if err = errors.Join(unpack.Run(), pack.Wait()); err != nil {
		t.Fatalf("install %s: %v\n%s", folder, err, &said)
	}
}

// WriteFile writes a file in the machine, folders above it included.
func (m *Machine) WriteFile(t *testing.T, path, content string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), commandTime)
	defer cancel()
	cmd := m.Command(ctx, "", "install", "-D", "-m", "0644", "/dev/stdin", path)
	cmd.Stdin = strings.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("write %s: %v\n%s", path, err, out)
	}
}

// Processes describes each process of the machine: its pid as seen from outside,
// and its arguments.
func (m *Machine) Processes() []string {
	var all []string
	for _, pid := range proctree.Below(m.leader) {
		all = append(all, proctree.Describe(pid))
	}
	return all
}

// Journal is the newest of what the units logged in this boot, so many lines of
// it; without units, of what all did.
func (m *Machine) Journal(t *testing.T, lines int, units ...string) string {
	t.Helper()
	args := []string{"journalctl", "--boot", "--no-pager", "--quiet", "--output=short-monotonic", "--lines=" + strconv.Itoa(lines)}
	for _, u := range units {
		args = append(args, "--unit="+u)
	}
	return m.Must(t, args...)
}
