package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
)

const records = 100_000

// auditRows times a start and a verification over 100,000 records.
func auditRows(ctx context.Context, l *lab) ([]row, error) {
	dir := filepath.Join(l.dir, "audit")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := fill(ctx, dir); err != nil {
		return nil, err
	}
	began := time.Now()
	log, err := audit.Open(ctx, dir, audit.Options{}, claim.NewBook())
	if err != nil {
		return nil, err
	}
	start := time.Since(began)
	if err := log.Close(); err != nil {
		return nil, err
	}
	began = time.Now()
	if _, err := audit.Verify(ctx, dir, nil); err != nil {
		return nil, err
	}
	verify := time.Since(began)
	return []row{
		{"start over 100,000 audit records", ms(start), "", "≤ 1 s", start <= time.Second},
		{"`audit verify` of them", ms(verify), times(verify, start) + " a start", "≤ 3 s", verify <= 3*time.Second},
	}, nil
}

func fill(ctx context.Context, dir string) error {
	log, err := audit.Open(ctx, dir, audit.Options{}, claim.NewBook())
	if err != nil {
		return err
	}
	exit := 0
	now := time.Now().Unix()
	for n := 1; n <= records/4; n += 100 {
		_, err := log.Update(ctx, func(tx *audit.Tx) error {
			for i := n; i < n+100; i++ {
				base := audit.Record{Qube: "work", ID: fmt.Sprintf("20261123-144232-%d-0b95ebc0", i), Number: int64(i), Key: "aaaa bbbb cccc dddd eeee ffff 0000 1111"}
				c, r, f, d := base, base, base, base
				c.Event, c.Kind, c.Issued, c.Expires, c.Timeout = audit.Claim, "script", now, now+300, 300
				r.Event, r.Command = audit.Run, "qvm-ls --raw-data"
				f.Event, f.State, f.Exit, f.Duration = audit.Final, audit.Exit, &exit, 12
				d.Event = audit.Delivered
				for _, rec := range []audit.Record{c, r, f, d} {
					tx.Add(rec)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return log.Close()
}
