package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/queue"
)

func (a *app) start() *cobra.Command {
	return a.starting("start", "Start the daemon, until it is stopped or the machine is", "Started.", dom0.Start)
}

func (a *app) restart() *cobra.Command {
	return a.starting("restart", "Stop the daemon and start it", "Restarted.", dom0.Restart)
}

// starting is a command after which the daemon works, unless it is paused: who
// starts it may have forgotten that.
func (a *app) starting(use, short, done string, do func(dom0, context.Context) (paused bool, err error)) *cobra.Command {
	return &cobra.Command{Use: use, Args: between(0, 0), Short: short,
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			paused, err := do(d, ctx)
			if err != nil {
				return err
			}
			a.say("%s", done)
			if paused {
				a.warn("it is " + pausedLine(admin.PausedOnly))
			}
			return nil
		})}
}

func (a *app) stop() *cobra.Command {
	return &cobra.Command{Use: "stop", Args: between(0, 0), Short: "Stop the daemon; commands get a while to end",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			if err := d.Stop(ctx); err != nil {
				return err
			}
			a.say("Stopped.")
			return nil
		})}
}

// command is one that dom0 works on, as JSON shows it.
type command struct {
	Number  uint64    `json:"number"` // dom0's own
	VM      string    `json:"vm"`
	ID      string    `json:"id"`
	State   string    `json:"state"`
	Taken   time.Time `json:"taken"`
	Started time.Time `json:"started,omitzero"`
}

func (a *app) commands() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "commands", Args: between(0, 0), Short: "List the commands that run or wait",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			rows, err := d.Commands(ctx)
			if err != nil {
				return err
			}
			list := []command{}
			for _, r := range rows {
				list = append(list, command{r.Number, r.Qube, r.ID, r.State, r.Taken, r.Started})
			}
			if asJSON {
				return a.json(list)
			}
			a.showCommands(list)
			return nil
		})}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) showCommands(list []command) {
	if len(list) == 0 {
		a.say("No commands.")
		return
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NUMBER\tVM\tSTATE\tTAKEN\tSTARTED\tID")
	for _, c := range list {
		started := "-"
		if !c.Started.IsZero() {
			started = c.Started.Local().Format(time.DateTime)
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", c.Number, plain(c.VM), plain(c.State), c.Taken.Local().Format(time.DateTime), started, plain(c.ID))
	}
	_ = w.Flush()
}

func (a *app) cancel() *cobra.Command {
	return &cobra.Command{Use: "cancel NUMBER", Args: between(1, 1), Short: "End one command with all its processes",
		Long: "End one command with all its processes, as the qube itself could. NUMBER is dom0's own,\nwhich `" +
			programName + " commands` shows.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			number, err := strconv.ParseUint(args[0], 10, 64)
			if err != nil || number == 0 {
				return fmt.Errorf("%s is not the number of a command; see: %s commands", queue.Quote(args[0], 40), programName)
			}
			if err := d.Cancel(ctx, number); err != nil {
				return err
			}
			a.say("Cancelled command %d.", number)
			return nil
		})}
}
