package life

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs are the paths of the two programs.
type Programs struct{ Client, Dom0 string }

// Build compiles both programs of this module into dir.
func Build(ctx context.Context, dir string) (Programs, error) {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", dir, "qvmremote/cmd/qvm-remote", "qvmremote/cmd/qvm-remote-dom0")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return Programs{}, fmt.Errorf("cannot build the programs: %w\n%s", err, out)
	}
	return In(dir), nil
}

// In are the programs that lie in dir.
func In(dir string) Programs {
	return Programs{Client: filepath.Join(dir, "qvm-remote"), Dom0: filepath.Join(dir, "qvm-remote-dom0")}
}
