package sim

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/test/executable"
)

// build makes the simulator's binary once per process and returns its path.
// SIM_BINARY names one that was built before.
var build = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("SIM_BINARY"); path != "" {
		return path, nil
	}
	module, err := moduleRoot()
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	// one folder per checkout, so that two of them do not build in turns
	dir := filepath.Join(cache, "qvm-remote-sim", fmt.Sprintf("%x", sha256.Sum256([]byte(module)))[:16])
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("build the simulator: %w", err)
	}
	return buildIn(dir, module)
})

// buildIn holds a lock because other test processes build the same thing. What
// it returns is never written again: worlds link to it.
func buildIn(dir, module string) (string, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", fmt.Errorf("build the simulator: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", fmt.Errorf("build the simulator: %w", err)
	}
	stage := filepath.Join(dir, "qubes-sim")
	cmd := exec.Command("go", "build", "-o", stage, "./test/sim/cmd/qubes-sim")
	cmd.Dir, cmd.Env = module, append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the simulator: %w\n%s", err, out)
	}
	content, err := os.ReadFile(stage)
	if err != nil {
		return "", fmt.Errorf("build the simulator: %w", err)
	}
	final := filepath.Join(dir, fmt.Sprintf("qubes-sim-%x", sha256.Sum256(content))[:26])
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	old, _ := filepath.Glob(filepath.Join(dir, "qubes-sim-*"))
	for _, path := range old {
		// worlds have links of their own, once they are made
		if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(path)
		}
	}
	return final, executable.Write(final, content)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("build the simulator: no go.mod here or above; set SIM_BINARY")
		}
		dir = filepath.Dir(dir)
	}
}
