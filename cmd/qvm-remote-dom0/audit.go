package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// view is how records are chosen and shown.
type view struct {
	n      int
	vm     string
	asJSON bool
}

func (v *view) check() error {
	if v.n < 0 {
		return fmt.Errorf("-n %d: not a number of records", v.n)
	}
	return nil
}

func (v *view) flags(c *cobra.Command, n int, what string) {
	c.Flags().IntVarP(&v.n, "lines", "n", n, what)
	c.Flags().StringVar(&v.vm, "vm", "", "only records about this qube")
	c.Flags().BoolVar(&v.asJSON, "json", false, "print each record as a line of JSON")
}

func (a *app) showRecord(v *view, r audit.Record) error {
	if v.vm != "" && r.Qube != v.vm {
		return nil
	}
	if !v.asJSON {
		a.say("%s", audit.Text(r))
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	a.say("%s", ascii(b))
	return nil
}

func (a *app) auditShow() *cobra.Command {
	v := &view{}
	c := &cobra.Command{Use: "show", Short: "Show the newest records", Args: between(0, 0),
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			if err := v.check(); err != nil {
				return err
			}
			last, err := d.Newest(ctx, v.vm, v.n)
			if err != nil {
				return err
			}
			for _, r := range last {
				if err := a.showRecord(v, r); err != nil {
					return err
				}
			}
			return nil
		})}
	v.flags(c, 20, "how many")
	return c
}

func (a *app) auditFollow() *cobra.Command {
	v := &view{}
	c := &cobra.Command{Use: "follow", Short: "Show the newest records, then each new one", Args: between(0, 0),
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			if err := v.check(); err != nil {
				return err
			}
			last, err := d.Newest(ctx, "", max(v.n, 1))
			if err != nil {
				return err
			}
			from := int64(0)
			if len(last) > 0 {
				from = last[len(last)-1].Seq + 1
			}
			for _, r := range last[len(last)-min(v.n, len(last)):] {
				if err := a.showRecord(v, r); err != nil {
					return err
				}
			}
			err = d.Follow(ctx, from, func(r audit.Record) error { return a.showRecord(v, r) })
			if ctx.Err() != nil {
				return nil // that is how it ends
			}
			return err
		})}
	v.flags(c, 10, "how many old ones first")
	return c
}

func (a *app) auditVerify() *cobra.Command {
	return &cobra.Command{Use: "verify [CHECKPOINT]...", Short: "Check the log, against checkpoints from outside where there are any",
		Args: between(0, math.MaxInt),
		Long: "Without a checkpoint this shows that the log agrees with itself; root can rewrite log and\n" +
			"signature together. With checkpoints that qubes or a sheet of paper kept it shows that every\n" +
			"record up to the newest of them is unchanged and in place.",
		RunE: a.onDom0(func(ctx context.Context, d dom0, args []string) error {
			verified, sentences, err := d.Verify(ctx, args)
			for _, s := range sentences {
				a.say("%s", plain(s))
			}
			return said(!verified, err)
		})}
}

// exportFormats are what the log can be written as.
var exportFormats = []string{"jsonl", "csv", "text"}

func (a *app) auditExport() *cobra.Command {
	var format string
	c := &cobra.Command{Use: "export", Short: "Write all records to stdout", Args: between(0, 0),
		RunE: a.onDom0(func(ctx context.Context, d dom0, _ []string) error {
			if !slices.Contains(exportFormats, format) {
				return fmt.Errorf("--format %s: there are %s", queue.Quote(format, 40), strings.Join(exportFormats, ", "))
			}
			return d.Export(ctx, a.out, format)
		})}
	c.Flags().StringVar(&format, "format", "jsonl", "jsonl, csv or text")
	return c
}
