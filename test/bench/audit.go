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

const (
	records = 100_000
	many    = 1_000_000
)

// auditRows times a start and a verification over 100,000 records.
func auditRows(ctx context.Context, l *lab) ([]row, error) {
	dir := filepath.Join(l.dir, "audit")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := fill(ctx, dir, records); err != nil {
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

// queryRows times questions to a log of 1,000,000 records.
func queryRows(ctx context.Context, l *lab) ([]row, error) {
	dir := filepath.Join(l.dir, "query")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	if err := fill(ctx, dir, many); err != nil {
		return nil, err
	}
	newest, _, err := pages(ctx, dir, audit.Filter{}, 0, 100)
	if err != nil {
		return nil, err
	}
	middle, _, err := pages(ctx, dir, audit.Filter{}, many/2, 100)
	if err != nil {
		return nil, err
	}
	first, _, err := pages(ctx, dir, audit.Filter{Text: "QVM-LS --raw"}, 0, 100)
	if err != nil {
		return nil, err
	}
	text, calls, err := pages(ctx, dir, audit.Filter{Text: "nowhere to be found"}, 0, 0)
	if err != nil {
		return nil, err
	}
	const limit = 30 * time.Millisecond
	return []row{
		{"page of 100 of 1,000,000 audit records, the newest", ms(newest), "", "≤ 30 ms", newest <= limit},
		{"the same from the middle", ms(middle), times(middle, newest), "≤ 30 ms", middle <= limit},
		{"first 100 of them with a text", ms(first), times(first, newest), "≤ 100 ms", first <= 100*time.Millisecond},
		{"all of them searched for a text", ms(text), fmt.Sprintf("%d calls", calls), "≤ 1.5 s", text <= 1500*time.Millisecond},
	}, nil
}

// pages times a query until it has enough records, or, where that is 0, until
// it has looked at all.
func pages(ctx context.Context, dir string, f audit.Filter, before int64, enough int) (took time.Duration, calls int, err error) {
	began := time.Now()
	for found := 0; ; {
		lines, next, err := audit.Query(ctx, dir, f, before, 100, 100*time.Millisecond)
		if err != nil {
			return 0, 0, err
		}
		calls++
		if found += len(lines); next == 0 || enough > 0 && found >= enough {
			return time.Since(began), calls, nil
		}
		before = next
	}
}

func fill(ctx context.Context, dir string, records int) error {
	log, err := audit.Open(ctx, dir, audit.Options{}, claim.NewBook())
	if err != nil {
		return err
	}
	exit := 0
	now := time.Now().Unix()
	for n := 1; n <= records/4; n += 1000 {
		_, err := log.Update(ctx, func(tx *audit.Tx) error {
			for i := n; i < n+1000; i++ {
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
