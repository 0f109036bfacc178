package qubes

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon/paths"
	"qvmremote/test/executable"
)

// script puts a program of that name into dir.
func script(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := executable.Write(path, []byte("#!/bin/bash\n"+text+"\n")); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestToolRefusesTheRealOnesInATest(t *testing.T) {
	t.Setenv("PATH", "/usr/bin:/bin")
	t.Setenv("QVM_REMOTE_REAL", "")
	root := paths.Root(t.TempDir())
	if path, err := Tool(root, "sh"); err == nil {
		t.Errorf("%s may be called", path)
	}
	if _, err := Tool("/", "sh"); err != nil {
		t.Errorf("in a real dom0: %v", err)
	}
	link := t.TempDir()
	real, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(real, filepath.Join(link, "qvm-run")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", link)
	if path, err := Tool(root, "qvm-run"); err == nil {
		t.Errorf("%s, a link to a real one, may be called", path)
	}
	t.Setenv("QVM_REMOTE_REAL", "1")
	if _, err := Tool(root, "qvm-run"); err != nil {
		t.Errorf("although allowed: %v", err)
	}
}

func TestToolFindsTheTestsOwn(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	want := script(t, dir, "qvm-ls", "")
	if got, err := Tool(paths.Root(t.TempDir()), "qvm-ls"); err != nil || got != want {
		t.Errorf("%s, %v", got, err)
	}
	if _, err := Tool("/", "qvm-prefs"); !errors.Is(err, ErrNoTool) {
		t.Errorf("a missing tool: %v", err)
	}
	if _, err := Tool("/", "../qvm-ls"); err == nil {
		t.Error("a path was taken for a tool's name")
	}
}

func TestOutputSaysWhatFailed(t *testing.T) {
	path := script(t, t.TempDir(), "qvm-ls", `cat; echo half; printf 'no qubesd\033[2J\n' >&2; exit 3`)
	out, err := Output(t.Context(), 10*time.Second, path)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || out != nil {
		t.Fatalf("%q, %v", out, err)
	}
	if text := err.Error(); !strings.Contains(text, "qvm-ls") || !strings.Contains(text, `no qubesd\x1b[2J`) {
		t.Errorf("%q", text)
	}
}

func TestTheDeadlineKillsTheWholeGroup(t *testing.T) {
	dir := t.TempDir()
	path := script(t, dir, "qvm-ls", `sleep 1000 & echo $! > "$0.pid.tmp"; mv "$0.pid.tmp" "$0.pid"; wait`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := Output(ctx, time.Minute, path)
		ended <- err
	}()
	child := 0
	eventually(t, "the child has started", func() bool {
		b, _ := os.ReadFile(path + ".pid")
		child, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return child > 0
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	eventually(t, "the child is dead", func() bool { return gone(child) })

	if _, err := Output(t.Context(), time.Millisecond, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("its own limit: %v", err)
	}
}

// gone reports whether a process has ended; nobody may have reaped it yet.
func gone(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(stat), ") Z ") || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

func TestOutputIsBounded(t *testing.T) {
	path := script(t, t.TempDir(), "qvm-ls", `trap '' PIPE; while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx 2>/dev/null; done`)
	out, err := Output(t.Context(), time.Minute, path)
	if err == nil || !strings.Contains(err.Error(), "bytes of output") || out != nil {
		t.Fatalf("%d bytes, %v", len(out), err)
	}
	path = script(t, t.TempDir(), "qvm-prefs", `yes | head -c 3000000 >&2; echo ok`)
	if out, err := Output(t.Context(), time.Minute, path); err != nil || string(out) != "ok\n" {
		t.Errorf("a chatty stderr: %q, %v", out, err)
	}
	path = script(t, t.TempDir(), "qvm-prefs", `yes | head -c 3000000 >&2; exit 1`)
	if _, err := Output(t.Context(), time.Minute, path); err == nil || len(err.Error()) > 4*maxQuoted {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestAChildThatHoldsStdoutDoesNotHoldUs(t *testing.T) {
	path := script(t, t.TempDir(), "qvm-ls", `sleep 1000 & echo $! > "$0.pid"`)
	if _, err := Output(t.Context(), time.Minute, path); !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("got %v", err)
	}
	b, err := os.ReadFile(path + ".pid")
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the child is dead", func() bool { return gone(child) })
}
