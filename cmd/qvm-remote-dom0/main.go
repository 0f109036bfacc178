// Command qvm-remote-dom0 is dom0's side of qvm-remote: the daemon that looks
// at qubes, and the administration of keys, settings and audit.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/run"
)

func main() {
	run.Supervise()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o := daemon.Options{Root: "/", Environ: os.Environ(), Now: time.Now, Times: daemon.DefaultTimes(), Path: os.Getenv("PATH"),
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	args := os.Args[1:]
	for i := 0; i < len(args); i++ {
		switch args[i] {
		case "--root":
			i++
			o.Root = paths.Root(args[i])
		case "--vm":
			i++
			o.VMs = strings.Fields(args[i])
		case "--once":
			o.Once = true
		case "--dry-run":
			o.DryRun = true
		}
	}
	if err := daemon.Run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-dom0:", err)
		os.Exit(1)
	}
}
