//go:build gtk

// Command qvm-remote-gui is the desktop program of a qube: it asks dom0 to run
// commands, and shows what came of them.
//
// It works on the same folder as qvm-remote, and both may be used at once.
package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/gui/client"
	"qvmremote/queue"
)

const about = `Asks dom0 to run commands, and shows their output as it comes.

Whether a command runs is for dom0 to decide: it looks into this qube's queue,
checks that the request is this qube's, and runs it, asks somebody, or denies it.
Opening this program asks dom0 for nothing.

It works on ~/.qvm-remote, as qvm-remote does in a terminal.`

func main() {
	// GTK belongs to the thread that initialised it.
	runtime.LockOSThread()
	if err := command().Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "qvm-remote-gui:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	var page string
	c := &cobra.Command{
		Use: "qvm-remote-gui", Short: "Run commands in dom0 from a qube's desktop", Long: about,
		Version: queue.Version, Args: cobra.NoArgs, SilenceUsage: true, SilenceErrors: true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(*cobra.Command, []string) error {
			if page != "" && !slices.Contains(client.Pages(), page) {
				return fmt.Errorf("there is no page %q: choose one of %s", page, strings.Join(client.Pages(), ", "))
			}
			return client.Run(client.Options{Page: page, Version: queue.Version})
		},
	}
	c.SetVersionTemplate("{{.Name}} {{.Version}}\n")
	c.Flags().StringVar(&page, "page", "", "page to show: "+strings.Join(client.Pages(), ", "))
	return c
}
