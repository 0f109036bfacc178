package qubes

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPowerToolsAreCalledWithTheName(t *testing.T) {
	tools, dir := dom0(t)
	for _, name := range []string{"qvm-start", "qvm-shutdown"} {
		script(t, dir, name, `echo "${0##*/} $*" >>`+dir+`/calls`)
	}
	if err := errors.Join(tools.Start(t.Context(), "work"), tools.ShutDown(t.Context(), "work")); err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(filepath.Join(dir, "calls"))
	if err != nil || string(said) != "qvm-start --skip-if-running -- work\nqvm-shutdown --wait --timeout 90 -- work\n" {
		t.Errorf("%s, %v", said, err)
	}
	for _, vm := range []string{"--all", "dom0", "a b", "", "x\n"} {
		if err := errors.Join(tools.Start(t.Context(), vm), tools.ShutDown(t.Context(), vm)); !errors.Is(err, ErrNoQube) {
			t.Errorf("%q: %v", vm, err)
		}
	}
	if n := calls(t, dir); n != 2 {
		t.Errorf("%d calls, those with names that are no qube's included", n)
	}
}

func TestWhatAPowerToolSaysIsQuoted(t *testing.T) {
	tools, dir := dom0(t)
	script(t, dir, "qvm-start", `printf 'no memory\033[2J\n%09000d' 1 >&2; exit 1`)
	err := tools.Start(t.Context(), "work")
	if err == nil || !strings.Contains(err.Error(), `"no memory\x1b[2J\x0a`) || len(err.Error()) > 2*maxQuoted {
		t.Errorf("%v", err)
	}
}

// TestAPowerToolThatHangs: it is given up, and nobody is told that nothing
// happened.
func TestAPowerToolThatHangs(t *testing.T) {
	tools, dir := dom0(t)
	tools.Timeout = 50 * time.Millisecond
	script(t, dir, "qvm-shutdown", "exec sleep 1000")
	err := tools.ShutDown(t.Context(), "work")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "may go on with it") {
		t.Errorf("%v", err)
	}
}
