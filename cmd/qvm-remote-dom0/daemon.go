package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qvmremote/daemon"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/settings"
	"qvmremote/dbus/service"
)

type daemonFlags struct {
	vms                   []string
	once, dryRun, verbose bool
	manage                bool
	idle                  time.Duration
}

// exitConfig is sysexits.h's EX_CONFIG. The unit names it: systemd shall not try
// again by itself, for a start that a person was told has failed must not
// happen later, when the settings are mended.
const exitConfig = 78

const daemonAction = "run the daemon"

var errNoVMs = errors.New("no VMs configured. Set QVM_REMOTE_VMS in /etc/qubes/remote.conf or use --vm VM")

func (a *app) runDaemon(c *cobra.Command, _ []string) error {
	root, err := a.rootDir()
	if err != nil {
		return err
	}
	if err := a.needRoot(root, daemonAction); err != nil {
		return err
	}
	if a.offline {
		return errors.New("--offline is for the commands; the daemon shows itself on the bus that there is")
	}
	if a.daemon.manage {
		return a.runManager(c.Context(), root)
	}
	o := daemon.Options{
		Root: root, Environ: a.environ, Once: a.daemon.once, DryRun: a.daemon.dryRun,
		Path: os.Getenv("PATH"), Now: time.Now, Times: daemon.DefaultTimes(),
		Log: a.journal(),
	}
	for _, vm := range a.daemon.vms {
		o.VMs = append(o.VMs, strings.Fields(vm)...)
	}
	set, _, err := settings.Source{Path: root.Config(), Environ: a.environ, VMs: o.VMs}.Load()
	if err != nil {
		return exitError{fmt.Errorf("cannot use the settings: %w", err), exitConfig}
	}
	o.VMs = o.VMs[:0:0]
	if len(a.daemon.vms) > 0 {
		o.VMs = set.VMs // checked, each once
	}
	if len(set.VMs) == 0 {
		// With --once there is nothing to do. Without it the daemon stays: the
		// service may be enabled before the first qube is authorised, which it
		// then sees at once, and an exit would make systemd give it up.
		if o.Once {
			return errNoVMs
		}
		o.Log.Info("no qubes are configured yet; waiting for: qvm-remote-dom0 authorize VM")
	}
	if o.DryRun {
		o.Log.Warn("dry run: requests are used up, nothing is started")
	}
	if front, ok := a.onBus(root, o.Log); ok && !o.Once {
		o.Front = service.NewExecutor(front)
	}
	return daemon.Run(c.Context(), o)
}

// journal is where the daemon tells what it does; the handler quotes.
func (a *app) journal() *slog.Logger {
	level := slog.LevelInfo
	if a.daemon.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level}))
}

// onBus is how this root shows itself on its message bus, if it has one.
func (a *app) onBus(root paths.Root, log *slog.Logger) (service.Options, bool) {
	address, ok := root.Bus(a.environ)
	return service.Options{Root: root, Environ: a.environ, Address: address, Log: log, Times: service.DefaultTimes()}, ok
}

var errNoBus = errors.New("there is no message bus for this root; " + paths.BusVar + " names one")

// runManager answers on the bus while no executor runs.
func (a *app) runManager(ctx context.Context, root paths.Root) error {
	if a.daemon.once || a.daemon.dryRun || len(a.daemon.vms) > 0 {
		return errors.New("--manage looks at no qube; it goes with none of --vm, --once and --dry-run")
	}
	o, ok := a.onBus(root, a.journal())
	if !ok {
		return errNoBus
	}
	if a.daemon.idle <= 0 {
		return errors.New("--idle must be longer than nothing")
	}
	o.Times.Idle = a.daemon.idle
	tell := func(state string) func() {
		return func() {
			if err := daemon.Notify(a.environ, state); err != nil {
				o.Log.Warn("the service manager was not told", "state", state, "error", err)
			}
		}
	}
	return service.Manage(ctx, o, tell("READY=1"), tell("STOPPING=1"))
}
