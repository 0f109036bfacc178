//go:build gtk

// Command qvm-remote-admin is the desktop program of dom0: which qubes may run
// commands there, what they ran, and the switches for it.
//
// It needs no privilege: all it does goes over the bus, which decides.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/gui/admin"
	"qvmremote/queue"
)

const about = `Shows which qubes may run commands in dom0, what they ran, and whether the
service that runs them does.

A qube that is authorised can do everything in dom0. Opening this program
starts nothing: the service runs only when it is started here, or starts at boot
where that was chosen.

It uses the system bus, or the one that QVM_REMOTE_BUS names.`

func main() {
	// GTK belongs to the thread that initialised it.
	runtime.LockOSThread()
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-admin:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var page string
	var background bool
	c := &cobra.Command{
		Use: "qvm-remote-admin", Short: "Administer qvm-remote on dom0's desktop", Long: about,
		Version: queue.Version, Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(*cobra.Command, []string) error {
			if page != "" && !slices.Contains(admin.Pages(), page) {
				return fmt.Errorf("there is no page %q: choose one of %s", page, strings.Join(admin.Pages(), ", "))
			}
			if background && page != "" {
				return errors.New("--background shows no page: leave --page out, or --background")
			}
			return admin.Run(admin.Options{Address: os.Getenv("QVM_REMOTE_BUS"), Page: page, Version: queue.Version, Background: background})
		},
	}
	c.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	c.Flags().BoolVar(&background, "background", false, "show no window until one is wanted, and tell of requests that wait")
	c.Flags().StringVar(&page, "page", "", "page to show: "+strings.Join(admin.Pages(), ", "))
	return c
}
