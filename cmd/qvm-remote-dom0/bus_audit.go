package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
)

const (
	pageOfLog = 1000             // records asked for at once, the most there can be
	wholeLog  = 10 * time.Minute // to go through all of a log
)

// record reads a line of the log. One that is damaged is shown as such.
func record(line string) audit.Record {
	var r audit.Record
	if err := json.Unmarshal([]byte(line), &r); err != nil {
		return audit.Record{Event: audit.Unreadable}
	}
	return r
}

func (b *overBus) Newest(ctx context.Context, vm string, n int) ([]audit.Record, error) {
	last, err := b.newest(ctx, vm, n, math.MaxInt)
	if err != nil || len(last) > 0 {
		return last, err
	}
	// The log's end is no sign: the service may not have seen it begin yet.
	text, next, err := b.c.ExportAuditText(ctx, 0, 1)
	if err == nil && text == "" && next == 0 {
		err = noLog(b.root)
	}
	return nil, err
}

// newest asks for at most so many pages.
func (b *overBus) newest(ctx context.Context, vm string, n, pages int) ([]audit.Record, error) {
	var last []audit.Record
	next := uint64(0)
	for ; len(last) < n && pages > 0; pages-- {
		page, before, err := b.c.QueryAudit(ctx, dbus.Filter{Qube: vm}, next, uint32(min(n-len(last), pageOfLog)))
		if err != nil {
			return nil, err
		}
		for _, r := range page {
			last = append(last, record(r.Line))
		}
		if before == 0 || next != 0 && before >= next {
			break
		}
		next = before
	}
	slices.Reverse(last)
	return last, nil
}

// Follow fetches what is new whenever the service tells that something is.
func (b *overBus) Follow(ctx context.Context, from int64, show func(audit.Record) error) error {
	m, err := dbus.NewMirror(ctx, b.c)
	if err != nil {
		return err
	}
	defer m.Close()
	next := uint64(max(from, 0))
	for fresh := true; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case _, open := <-m.Changed():
			if !open && ctx.Err() == nil {
				return errors.New(m.Snapshot().Why)
			}
		}
		now := m.Snapshot()
		for _, n := range m.TakeNews() {
			if fresh = true; n.Kind == dbus.Rewritten {
				next = n.From
			}
		}
		switch now.Availability {
		case dbus.Available:
			if !fresh && now.Manager.AuditHead <= next {
				continue
			}
			next, err = b.since(ctx, next, show)
			if fresh = err != nil; err != nil && !errors.Is(err, dbus.Err(dbus.Unavailable)) {
				return err
			}
		case dbus.Forbidden, dbus.Mismatched, dbus.NoBus:
			return errors.New(now.Why)
		}
	}
}

// since shows the records from next on, up to the log's end, and returns where
// that is.
func (b *overBus) since(ctx context.Context, next uint64, show func(audit.Record) error) (uint64, error) {
	for {
		text, end, err := b.c.ExportAuditText(ctx, next, pageOfLog)
		if err != nil {
			return next, err
		}
		for line := range strings.Lines(text) {
			if err := show(record(line)); err != nil {
				return next, err
			}
		}
		if end <= next {
			return next, nil
		}
		next = end
	}
}

func (b *overBus) Verify(ctx context.Context, checkpoints []string) (bool, []string, error) {
	ctx, cancel := context.WithTimeout(ctx, wholeLog)
	defer cancel()
	v, err := b.c.VerifyAudit(ctx, checkpoints)
	if errors.Is(err, dbus.Err(dbus.NoSuchRecord)) {
		err = noLog(b.root)
	}
	return v.Verified, v.Sentences, err
}

func (b *overBus) Export(ctx context.Context, w io.Writer, format string) error {
	ctx, cancel := context.WithTimeout(ctx, wholeLog)
	defer cancel()
	n, err := b.c.ExportAudit(ctx, w, format)
	switch {
	case err == nil && n == 0:
		return noLog(b.root)
	case err != nil && n > 0:
		return fmt.Errorf("the export is not whole: %w", err)
	}
	return err
}
