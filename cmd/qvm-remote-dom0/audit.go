package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
)

// onLog is a command on the audit log's folder.
func (a *app) onLog(use, short string, args cobra.PositionalArgs, do func(ctx context.Context, dir string, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args,
		RunE: a.asRoot(func(ctx context.Context, d *admin.Admin, args []string) error {
			dir := d.Root.Audit()
			if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no audit log in %s yet; the first change begins it", dir)
			}
			return do(ctx, dir, args)
		})}
}

// view is how records are chosen and shown.
type view struct {
	n      int
	vm     string
	asJSON bool
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
	c := a.onLog("show", "Show the newest records", between(0, 0), func(ctx context.Context, dir string, _ []string) error {
		last, err := newest(ctx, dir, v)
		if err != nil {
			return err
		}
		for _, r := range last {
			if err := a.showRecord(v, r); err != nil {
				return err
			}
		}
		return nil
	})
	v.flags(c, 20, "how many")
	return c
}

// newest gives the last n records that v wants, the oldest first.
func newest(ctx context.Context, dir string, v *view) ([]audit.Record, error) {
	if v.n < 0 {
		return nil, fmt.Errorf("-n %d: not a number of records", v.n)
	}
	if v.vm == "" || v.n == 0 {
		return audit.ReadLast(ctx, dir, v.n)
	}
	var last []audit.Record
	for next := int64(0); len(last) < v.n; {
		lines, before, err := audit.Query(ctx, dir, audit.Filter{Qube: v.vm}, next, v.n-len(last), 0)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			var r audit.Record
			if err := json.Unmarshal(line, &r); err != nil {
				return nil, fmt.Errorf("cannot read an audit record: %w", err)
			}
			last = append(last, r)
		}
		if next = before; next == 0 {
			break
		}
	}
	slices.Reverse(last)
	return last, nil
}

func (a *app) auditFollow() *cobra.Command {
	v := &view{}
	c := a.onLog("follow", "Show the newest records, then each new one", between(0, 0), func(ctx context.Context, dir string, _ []string) error {
		if v.n < 0 {
			return fmt.Errorf("-n %d: not a number of records", v.n)
		}
		from := int64(0)
		last, err := audit.ReadLast(ctx, dir, max(v.n, 1))
		if err != nil {
			return err
		}
		if len(last) > 0 {
			from = last[len(last)-1].Seq + 1
		}
		for _, r := range last[len(last)-min(v.n, len(last)):] {
			if err := a.showRecord(v, r); err != nil {
				return err
			}
		}
		err = audit.Follow(ctx, dir, from, func(r audit.Record, _ []byte) error { return a.showRecord(v, r) })
		if ctx.Err() != nil {
			return nil // that is how it ends
		}
		return err
	})
	v.flags(c, 10, "how many old ones first")
	return c
}

func (a *app) auditVerify() *cobra.Command {
	c := a.onLog("verify [CHECKPOINT]...", "Check the log, against checkpoints from outside where there are any", between(0, math.MaxInt),
		func(ctx context.Context, dir string, args []string) error {
			report, err := audit.Verify(ctx, dir, args)
			if err != nil {
				return err
			}
			for _, s := range report.Sentences() {
				a.say("%s", s)
			}
			return said(!report.OK())
		})
	c.Long = "Without a checkpoint this shows that the log agrees with itself; root can rewrite log and\n" +
		"signature together. With checkpoints that qubes or a sheet of paper kept it shows that every\n" +
		"record up to the newest of them is unchanged and in place."
	return c
}

func (a *app) auditExport() *cobra.Command {
	var format string
	c := a.onLog("export", "Write all records to stdout", between(0, 0), func(ctx context.Context, dir string, _ []string) error {
		return audit.Export(ctx, dir, a.out, format)
	})
	c.Flags().StringVar(&format, "format", "jsonl", "jsonl, csv or text")
	return c
}
