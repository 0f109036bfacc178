package service

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/run"
	"qvmremote/test/sim"
)

// What this program is when it was started by a test: "manager" or "executor",
// of the root and on the bus that the other variables name.
const (
	roleVar = "SERVICE_TEST_ROLE"
	rootVar = "SERVICE_TEST_ROOT"
	idleVar = "SERVICE_TEST_IDLE"
)

// patience is how long a test waits for what must happen.
const patience = time.Minute

func TestMain(m *testing.M) {
	run.Supervise()
	if role := os.Getenv(roleVar); role != "" {
		if err := play(role); err != nil {
			fmt.Fprintln(os.Stderr, role+":", err)
			os.Exit(1)
		}
		return
	}
	code, err := withTools(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "tests of the service:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

// withTools runs the tests in a dom0 whose tools know the qube "work".
func withTools(m *testing.M) (int, error) {
	dir, err := os.MkdirTemp("", "service-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	w, err := sim.NewAt(filepath.Join(dir, "w"))
	if err != nil {
		return 0, err
	}
	w.Qube("work", sim.Halted)
	for _, v := range w.World.Dom0Env() {
		if name, value, _ := strings.Cut(v, "="); name != "HOME" {
			if err := os.Setenv(name, value); err != nil {
				return 0, err
			}
		}
	}
	code := m.Run()
	return code, w.Close()
}

// play is the program that the bus or a test started.
func play(role string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	o := testOptions(paths.Root(os.Getenv(rootVar)), os.Getenv(paths.BusVar))
	if idle, err := time.ParseDuration(os.Getenv(idleVar)); err == nil {
		o.Times.Idle = idle
	}
	if role == "manager" {
		return Manage(ctx, o, func() {}, func() {})
	}
	return daemon.Run(ctx, daemonOptions(o))
}

// testOptions are those of a test, with short waits.
func testOptions(root paths.Root, address string) Options {
	t := DefaultTimes()
	t.Gather, t.Notice, t.Retry = 5*time.Millisecond, 50*time.Millisecond, 50*time.Millisecond
	t.Call, t.Stall, t.Key = 5*time.Second, 300*time.Millisecond, 300*time.Millisecond
	return Options{Root: root, Environ: []string{paths.BusVar + "=" + address}, Address: address, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Times: t}
}

// daemonOptions are those of an executor without qubes.
func daemonOptions(o Options) daemon.Options {
	return daemon.Options{Root: o.Root, Environ: o.Environ, Path: os.Getenv("PATH"), Now: time.Now, Times: daemon.DefaultTimes(), Log: o.Log, Front: NewExecutor(o)}
}
