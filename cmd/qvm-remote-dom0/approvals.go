package main

import (
	"context"
	"fmt"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"qvmremote/dbus"
	"qvmremote/queue"
)

// granted is something that was approved beyond one request, as --json prints it.
type granted struct {
	ID      uint64 `json:"id"` // dom0's number of the request that it was approved with
	Qube    string `json:"qube"`
	Sha256  string `json:"sha256"`  // "" for whatever the qube asks
	Seconds int64  `json:"seconds"` // left; 0 until the reboot
	Count   uint64 `json:"count"`   // requests left; 0 for any number
	Who     string `json:"who"`
	Way     string `json:"way"`
}

// approvals lists what was approved, and takes it back.
func (a *app) approvals() *cobra.Command {
	return group("approvals", "List what was approved beyond single requests, and take it back", a.approvalsShow(), a.approvalsRevoke())
}

func (a *app) approvalsShow() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{Use: "show", Args: between(0, 0), Short: "List what was approved for a time, a count, or until the reboot",
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			rows, err := d.Approvals(ctx)
			if err != nil {
				return err
			}
			if asJSON {
				list := []granted{}
				for _, r := range rows {
					list = append(list, granted{r.Number, r.Qube, r.Sha256, int64(r.Left.Seconds()), r.Count, r.Who, r.Way})
				}
				return a.json(list)
			}
			a.showApprovals(rows)
			return nil
		})}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) showApprovals(rows []dbus.Approval) {
	if len(rows) == 0 {
		a.say("Nothing is approved beyond single requests.")
		return
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tVM\tLEFT\tREQUESTS\tBY\tSHA256")
	for _, r := range rows {
		left, count, what := "until reboot", "any", r.Sha256
		if r.Left > 0 {
			left = r.Left.String()
		}
		if r.Count > 0 {
			count = fmt.Sprint(r.Count)
		}
		if what == "" {
			what = "whatever it asks"
		}
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%s\n", r.Number, plain(r.Qube), left, count, plain(r.Who), plain(what))
	}
	_ = w.Flush()
}

func (a *app) approvalsRevoke() *cobra.Command {
	return &cobra.Command{Use: "revoke VM [ID]", Args: between(1, 2), Short: "Take back what was approved for a qube",
		Long: "Take back all that was approved for a qube, or with ID what was approved with that request.\n" +
			"What it let through and has not begun is denied; what runs goes on.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			number := uint64(0)
			if len(args) == 2 {
				var err error
				if number, err = strconv.ParseUint(args[1], 10, 64); err != nil || number == 0 {
					return fmt.Errorf("%s is not the number of a request; see: %s approvals show", queue.Quote(args[1], 40), programName)
				}
			}
			n, err := d.RevokeApprovals(ctx, args[0], number)
			if err != nil {
				return err
			}
			a.say("Took back %d approval(s) of VM '%s'.", n, plain(args[0]))
			return nil
		})}
}

func (onFiles) Approvals(context.Context) ([]dbus.Approval, error) { return nil, errNoApproval }

func (onFiles) RevokeApprovals(context.Context, string, uint64) (uint32, error) {
	return 0, errNoApproval
}

func (b *overBus) Approvals(ctx context.Context) ([]dbus.Approval, error) {
	return b.c.ListApprovals(ctx)
}

func (b *overBus) RevokeApprovals(ctx context.Context, vm string, number uint64) (uint32, error) {
	return b.c.RevokeApprovals(ctx, vm, number)
}
