// Package smalldisk gives tests disks that fill up.
//
// It guarantees that a disk is gone with the process that mounted it, however
// that ends: the tests run in a mount namespace of their own. That takes root;
// for others a test that mounts is skipped.
package smalldisk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVar tells a test program that it was started by Enter.
const insideVar = "SMALLDISK_INSIDE"

// canMount says that this process has a mount namespace of its own.
var canMount bool

// Enter is called before the tests of a program. Where it reports true it has run
// them, in a namespace of their own, and code is what to exit with.
func Enter() (code int, was bool) {
	if os.Getenv(insideVar) != "" {
		os.Unsetenv(insideVar)
		canMount = true
		return 0, false
	}
	if os.Geteuid() != 0 {
		return 0, false
	}
	runtime.LockOSThread() // Pdeathsig is the thread's
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), insideVar+"=yes")
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: unix.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	signal.Ignore(os.Interrupt) // the terminal sends it to both
	if err := cmd.Start(); err != nil {
		return 0, false
	}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT, syscall.SIGTERM) // how go test ends a test that hangs
	go func() {
		for s := range quit {
			cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		fmt.Fprintln(os.Stderr, "tests in a mount namespace:", err)
		return 1, true
	}
	return max(cmd.ProcessState.ExitCode(), 0), true
}

// Main is the TestMain of a package that needs no more than Enter.
func Main(m *testing.M) {
	code, was := Enter()
	if !was {
		code = m.Run()
	}
	os.Exit(code)
}

// Mount mounts a disk of that size at dir, until the test ends.
func Mount(t testing.TB, dir string, mib int) {
	t.Helper()
	if !canMount {
		t.Skip("mounting a small disk takes root")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm,mode=700", mib)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
}

// Fill writes to a file in dir until its disk is full.
func Fill(t testing.TB, dir string) (ballast string) {
	t.Helper()
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10} {
		for {
			if _, err := f.Write(make([]byte, size)); err != nil {
				break
			}
		}
	}
	return ballast
}
