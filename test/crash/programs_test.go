//go:build crashpoints

package crash

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"qvmremote/test/rules"
)

// programs are built once: dom0's side with its crash points, the qube's side
// as it is shipped.
var programs struct{ dom0, client string }

func TestMain(m *testing.M) {
	os.Exit(withPrograms(m))
}

func withPrograms(m *testing.M) int {
	dir, err := os.MkdirTemp("", "qvm-remote-crash-")
	if err == nil {
		defer os.RemoveAll(dir)
		programs.dom0, programs.client = filepath.Join(dir, "qvm-remote-dom0"), filepath.Join(dir, "qvm-remote")
		err = build(programs.dom0, "./cmd/qvm-remote-dom0", "-tags", "crashpoints")
	}
	if err == nil {
		err = build(programs.client, "./cmd/qvm-remote")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func build(out, pkg string, flags ...string) error {
	root, err := rules.Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(context.Background(), "go", append(append([]string{"build", "-o", out}, flags...), pkg)...)
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build %s: %w\n%s", pkg, err, text)
	}
	return nil
}
