//go:build system

package system

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// keeperName is this program's first argument when it keeps a machine.
const keeperName = "keep-machine"

// keeper is what the process needs that mounts and boots a machine. It is the
// first process of a pid namespace, in a mount namespace of its own: when it
// ends, so do all processes and mounts of the machine, without exception.
type keeper struct {
	Name string   // of the machine
	Tree string   // the image
	Over string   // an empty folder to mount on
	Join []string // cgroup folders to move to, made already
}

// rebooted is nspawn's exit code for a machine that wants to boot again.
const rebooted = 133

// keep boots the machine until it is powered off, and returns the exit code.
func keep(arg string) int {
	var k keeper
	err := json.Unmarshal([]byte(arg), &k)
	if err == nil {
		err = k.run()
	}
	fmt.Fprintf(os.Stderr, "keeper of %s: %v\n", k.Name, err)
	return 1
}

func (k keeper) run() error {
	// a leash for the moment before PR_SET_PDEATHSIG: whoever holds the other
	// end is gone when it ends
	go func() {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(1)
	}()
	for _, dir := range k.Join {
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte("0"), 0); err != nil {
			return fmt.Errorf("join the cgroup: %w", err)
		}
	}
	root, err := k.mount()
	if err != nil {
		return err
	}
	for {
		cmd := exec.Command("systemd-nspawn", "--quiet", "--directory="+root, "--boot", "--machine="+k.Name,
			"--register=no", "--keep-unit", "--private-network", "--link-journal=no", "--resolv-conf=off",
			"--timezone=off", "--console=pipe")
		cmd.Env = append(os.Environ(), "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1", "LC_ALL=C.UTF-8")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if errors.As(err, &exit) && exit.ExitCode() == rebooted {
			continue
		}
		if err != nil {
			return fmt.Errorf("boot: %w", err)
		}
		return errors.New("the machine was powered off")
	}
}

// mount lays a folder in memory over the image, so that the machine can write
// and the image stays as it is.
func (k keeper) mount() (string, error) {
	type mounting struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}
	upper, work, root := filepath.Join(k.Over, "upper"), filepath.Join(k.Over, "work"), filepath.Join(k.Over, "root")
	private := []mounting{
		{"", "/", "", unix.MS_REC | unix.MS_PRIVATE, ""},
		{"proc", "/proc", "proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
		{"tmpfs", k.Over, "tmpfs", 0, "mode=0755"},
	}
	for _, m := range private {
		if err := unix.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return "", fmt.Errorf("mount %s: %w", m.target, err)
		}
	}
	for _, dir := range []string{upper, work, root} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", err
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", k.Tree, upper, work)
	if err := unix.Mount("overlay", root, "overlay", 0, data); err != nil {
		return "", fmt.Errorf("lay a writable folder over the image: %w", err)
	}
	return root, nil
}

// poll tries until it works, at most for the given time.
func poll(limit time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
}
