package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"qvmremote/daemon"
	"qvmremote/daemon/settings"
)

type daemonFlags struct {
	vms                   []string
	once, dryRun, verbose bool
}

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
	level := slog.LevelInfo
	if a.daemon.verbose {
		level = slog.LevelDebug
	}
	o := daemon.Options{
		Root: root, Environ: a.environ, Once: a.daemon.once, DryRun: a.daemon.dryRun,
		Path: os.Getenv("PATH"), Now: time.Now, Times: daemon.DefaultTimes(),
		Log: slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: level})), // it quotes
	}
	for _, vm := range a.daemon.vms {
		o.VMs = append(o.VMs, strings.Fields(vm)...)
	}
	set, _, err := settings.Source{Path: root.Config(), Environ: a.environ, VMs: o.VMs}.Load()
	if err != nil {
		return fmt.Errorf("cannot use the settings: %w", err)
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
	return daemon.Run(c.Context(), o)
}
