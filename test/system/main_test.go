//go:build system

package system

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == keeperName {
		os.Exit(keep(os.Args[2]))
	}
	if why := unavailable(); why != nil {
		fmt.Fprintf(os.Stderr, "test/system: %v\n", why)
		if os.Getenv("QVM_REMOTE_SYSTEM") == "must" {
			os.Exit(1)
		}
		fmt.Fprintln(os.Stderr, "test/system: SKIPPED: nothing of a booted system was tested")
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// unavailable tells why no machine can be booted here.
func unavailable() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("booting a system takes root")
	}
	for _, tool := range []string{"systemd-nspawn", "mmdebstrap", "nsenter", "unshare", "tar"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing (make setup-system installs it)", tool)
		}
	}
	_, err := hierarchies()
	return err
}
