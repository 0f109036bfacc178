package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// onQueues is a command on the queues of the qubes named, or of all.
func (a *app) onQueues(use, short string, do func(context.Context, dom0, []string) error) *cobra.Command {
	return &cobra.Command{Use: use + " [VM]...", Short: short, Args: between(0, math.MaxInt),
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			vms, err := d.Targets(ctx, args)
			if err != nil {
				return err
			}
			if len(vms) == 0 {
				a.say("No VMs configured.")
				return nil
			}
			return do(ctx, d, vms)
		})}
}

func (a *app) queueStatus() *cobra.Command {
	var asJSON bool
	c := a.onQueues("status", "Count what lies in the queues", func(ctx context.Context, d dom0, vms []string) error {
		reports, err := d.Queues(ctx, vms, asJSON)
		if err != nil {
			return err
		}
		if asJSON {
			return a.json(reports)
		}
		w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "VM\tPending\tRunning\tResults")
		for _, q := range reports {
			if q.Note != "" {
				fmt.Fprintf(w, "%s\t(%s)\n", q.VM, plain(q.Note))
				continue
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\n", q.VM, q.Pending, q.Running, q.Results)
		}
		return w.Flush()
	})
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) queueClean() *cobra.Command {
	var all bool
	c := a.onQueues("clean", "Remove what is left over from the queues", func(ctx context.Context, d dom0, vms []string) error {
		reports, err := d.Clean(ctx, vms, all)
		failed := false
		for _, q := range reports {
			failed = a.note(q) || failed
			if q.Note == "" || len(q.Done) > 0 {
				a.say("%s: cleaned %d file(s)%s", q.VM, len(q.Done), left(q.Skipped))
			}
		}
		return said(failed, err)
	})
	c.Long = "Remove files older than a day from the queues of running qubes; what belongs to a request\nthat dom0 still works on is left alone."
	c.Flags().BoolVar(&all, "all", false, "younger files as well: requests not taken yet are lost, and answers nobody fetched")
	return c
}

func left(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", left %d in use or younger than a day", n)
}

func (a *app) queueRecover() *cobra.Command {
	return a.onQueues("recover", "Answer what seems to be running but is not", func(ctx context.Context, d dom0, vms []string) error {
		reports, err := d.Recover(ctx, vms)
		failed := false
		for _, q := range reports {
			failed = a.note(q) || failed
			switch {
			case len(q.Done) > 0:
				a.say("%s: recovered %d stale command(s)", q.VM, len(q.Done))
			case q.Note == "":
				a.say("%s: no stale running commands", q.VM)
			}
			if q.Skipped > 0 {
				a.say("%s: %d open in dom0, left alone", q.VM, q.Skipped)
			}
		}
		return said(failed, err)
	})
}

// note tells why a qube could not be asked; that it does not run is no failure.
func (a *app) note(q admin.QueueReport) (failed bool) {
	switch q.Note {
	case "":
		return false
	case admin.NotRunning:
		a.say("%s: not running, skipped", q.VM)
		return false
	}
	fmt.Fprintf(a.err, "%s: %s: %s\n", programName, q.VM, plain(q.Note))
	return true
}

// said is err, or that what failed was told already.
func said(failed bool, err error) error {
	if err == nil && failed {
		return errSaid
	}
	return err
}

// debugRecords is how many audit records are shown for each qube.
const debugRecords = 5

func (a *app) queueDebug() *cobra.Command {
	return a.onQueues("debug", "List the files in the queues, and the last audit records", func(ctx context.Context, d dom0, vms []string) error {
		reports, err := d.Debug(ctx, vms, debugRecords)
		if err != nil {
			return err
		}
		for _, q := range reports {
			a.debug(q)
		}
		return nil
	})
}

// debug shows names as they are, for they were checked, and all else from the
// qube quoted.
func (a *app) debug(q admin.QueueReport) {
	a.say("%s:", q.VM)
	if q.Note != "" {
		a.say("  (%s)", plain(q.Note))
	}
	slices.SortFunc(q.Entries, func(x, y queue.Entry) int {
		return cmp.Or(cmp.Compare(x.Folder, y.Folder), cmp.Compare(x.Name, y.Name))
	})
	for _, e := range q.Entries {
		word := ""
		if e.Word != "" {
			word = " " + queue.Quote(e.Word, 64)
		}
		a.say("  %-8s %10d bytes %8ds old  %s%s", queue.Escape(string(e.Folder), 10), e.Size, e.Age, queue.Escape(e.Name, 140), word)
	}
	if q.More > 0 {
		a.say("  and %d more, those with names that are no ids included", q.More)
	}
	a.say("  last audit records:")
	for _, r := range q.Records {
		a.say("    %s", audit.Text(r))
	}
}
