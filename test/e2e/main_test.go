// Package e2e shows the whole of qvm-remote at work on a simulated Qubes
// machine: the programs as they are installed, a daemon that is killed and
// restarted, qubes that lie, disks that are full.
//
// Each test reads as a story and asserts what a person would see: what the
// client prints, what stands in dom0's log and audit trail, and whether a
// command left its mark in dom0.
package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/run"
	"qvmremote/test/smalldisk"
)

// The programs under test, and this one: it also plays a daemon with short
// waits and a clock that tests set, and agents that lie.
var programs struct{ client, dom0, self string }

const (
	roleVar  = "E2E_ROLE"  // daemon, or the name of a lying agent
	clockVar = "E2E_CLOCK" // file with the seconds by which the daemon's clock is off
	powerVar = "E2E_POWER" // the pause of the daemon between looks at power states
)

func TestMain(m *testing.M) {
	run.Supervise()
	switch role := os.Getenv(roleVar); role {
	case "daemon":
		os.Exit(quickDaemon())
	case "":
		if code, was := smalldisk.Enter(); was {
			os.Exit(code)
		}
	default:
		os.Exit(lie(role))
	}
	dir, err := os.MkdirTemp("", "qvm-remote-e2e-")
	if err == nil {
		err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "end-to-end tests:", err)
		os.Exit(1)
	}
	tellWhatCannot()
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

func build(dir string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	programs.client, programs.dom0, programs.self = filepath.Join(dir, "qvm-remote"), filepath.Join(dir, "qvm-remote-dom0"), self
	cmd := exec.Command("go", "build", "-o", dir, "qvmremote/cmd/qvm-remote", "qvmremote/cmd/qvm-remote-dom0")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build the programs: %w\n%s", err, out)
	}
	return nil
}

// quickDaemon is the daemon with waits that suit tests.
func quickDaemon() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	times := daemon.DefaultTimes()
	times.Transport.Frame, times.Transport.Answer = 2*time.Second, 5*time.Second
	times.Poll.Fast, times.Poll.Again, times.Poll.Skip = 50*time.Millisecond, 50*time.Millisecond, time.Millisecond
	times.Poll.Power, times.Poll.Call = 200*time.Millisecond, 5*time.Second
	times.Power, times.Quiet, times.Backoff, times.MaxPause = 200*time.Millisecond, 100*time.Millisecond, 100*time.Millisecond, time.Second
	times.NoAgent, times.Skip, times.Tidy = 2*time.Second, time.Millisecond, 10*time.Millisecond
	times.Events.Answer, times.Events.Backoff, times.Events.MaxPause = 2*time.Second, 50*time.Millisecond, time.Second
	if power, err := time.ParseDuration(os.Getenv(powerVar)); err == nil {
		times.Power = power
	}
	times.Retry, times.MaxRetry = 50*time.Millisecond, 200*time.Millisecond
	o := daemon.Options{Root: paths.Root(os.Args[2]), Environ: os.Environ(), Times: times, Path: os.Getenv("PATH"),
		Now: shiftedClock(os.Getenv(clockVar)), Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	for _, a := range os.Args[3:] {
		o.Once, o.DryRun = o.Once || a == "--once", o.DryRun || a == "--dry-run"
	}
	if err := daemon.Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-dom0:", err)
		return 1
	}
	return 0
}

// shiftedClock is the machine's clock, off by what the file says at the time
// of asking.
func shiftedClock(path string) func() time.Time {
	return func() time.Time {
		b, _ := os.ReadFile(path) // missing = not off
		off, _ := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
		return time.Now().Add(time.Duration(off) * time.Second)
	}
}
