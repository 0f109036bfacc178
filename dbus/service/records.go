package service

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/daemon/audit"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// Bounds of one answer.
const (
	maxRecords = 1000
	maxAnswer  = 4 << 20 // bytes of records
	maxFilter  = 1000    // bytes of a word in a filter
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func limited(limit uint32) error {
	if limit < 1 || limit > maxRecords {
		return fail(dbus.InvalidArgument, "a limit of %d; ask for 1 to %d records", limit, maxRecords)
	}
	return nil
}

func number(n uint64) (int64, error) {
	if n > 1<<62 {
		return 0, fail(dbus.InvalidArgument, "%d is no number of a record", n)
	}
	return int64(n), nil
}

// filter reads QueryAudit's dictionary.
func filter(given map[string]godbus.Variant) (f audit.Filter, err error) {
	var events, states []string
	var n, since, until uint64
	into := map[string]any{"qube": &f.Qube, "events": &events, "states": &states, "reason": &f.Reason, "id": &f.ID, "number": &n,
		"since": &since, "until": &until, "text": &f.Text}
	for name, v := range given {
		p := into[name]
		if p == nil {
			return f, fail(dbus.InvalidArgument, "there is no filter %s", quoted(name))
		}
		if v.Signature() != godbus.SignatureOf(p) || v.Store(p) != nil { // Store alone converts one kind into another
			return f, fail(dbus.InvalidArgument, "the filter %s takes another type than %s", quoted(name), v.Signature())
		}
	}
	for _, e := range events {
		f.Events = append(f.Events, audit.Event(e))
	}
	for _, st := range states {
		f.States = append(f.States, audit.State(st))
	}
	for _, word := range append(append(events, states...), f.Qube, f.Reason, f.ID, f.Text) {
		if len(word) > maxFilter {
			return f, fail(dbus.InvalidArgument, "a word of the filter has more than %d bytes", maxFilter)
		}
	}
	if len(events) > maxFilter || len(states) > maxFilter {
		return f, fail(dbus.InvalidArgument, "the filter names more than %d events or states", maxFilter)
	}
	if f.Number, err = number(n); err == nil {
		f.Since, err = at(since)
	}
	if err == nil {
		f.Until, err = at(until)
	}
	return f, err
}

// QueryAudit searches the log backwards for a little while.
func (m manager) QueryAudit(ctx context.Context, _ caller, given map[string]godbus.Variant, before uint64, limit uint32) ([]string, uint64, error) {
	if err := limited(limit); err != nil {
		return nil, 0, err
	}
	f, err := filter(given)
	if err != nil {
		return nil, 0, err
	}
	from, err := number(before)
	if err != nil {
		return nil, 0, err
	}
	lines, next, err := audit.Query(ctx, m.s.o.Root.Audit(), f, from, int(limit), m.s.o.Times.Search)
	if missing(err) {
		return []string{}, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	out := make([]string, len(lines))
	for i, line := range lines {
		out[i] = string(line)
	}
	return out, uint64(next), nil
}

// GetRecord is one record.
func (m manager) GetRecord(ctx context.Context, _ caller, seq uint64) (string, error) {
	n, err := number(seq)
	if err != nil {
		return "", err
	}
	_, line, err := audit.Get(ctx, m.s.o.Root.Audit(), n)
	if missing(err) {
		err = audit.ErrNoRecord
	}
	return string(line), err
}

// count is how many requests ended how in one span of time.
type count struct {
	From   uint64
	Counts map[string]uint32
}

// CountCommands counts for a chart.
func (m manager) CountCommands(ctx context.Context, _ caller, from, to uint64, length uint32, vm string) ([]count, error) {
	begin, err := at(from)
	if err != nil {
		return nil, err
	}
	end, err := at(to)
	if err != nil {
		return nil, err
	}
	if length == 0 || from == 0 || to <= from || (to-from-1)/uint64(length) >= maxRecords {
		return nil, fail(dbus.InvalidArgument, "from %d to %d in spans of %d seconds: give 1 to %d spans", from, to, length, maxRecords)
	}
	if vm != "" && !queue.ValidQube(vm) {
		return nil, fail(dbus.InvalidArgument, "%s is no qube's name", quoted(vm))
	}
	buckets, err := audit.Counts(ctx, m.s.o.Root.Audit(), begin, end, time.Duration(length)*time.Second, vm)
	if err != nil && !missing(err) {
		return nil, err
	}
	out := []count{}
	for _, b := range buckets {
		c := count{seconds(b.From), map[string]uint32{}}
		for outcome, n := range map[string]int64{"done": b.Done, "failed": b.Failed, "timeout": b.Timeout, "cancelled": b.Cancelled,
			"denied": b.Denied, "interrupted": b.Interrupted, "refused": b.Refused} {
			if n > 0 {
				c.Counts[outcome] = uint32(min(n, math.MaxUint32))
			}
		}
		if len(c.Counts) > 0 {
			out = append(out, c)
		}
	}
	return out, nil
}

// VerifyAudit checks the log.
func (m manager) VerifyAudit(ctx context.Context, _ caller, checkpoints []string) (bool, uint64, uint64, []string, error) {
	if len(checkpoints) > maxRecords {
		return false, 0, 0, nil, fail(dbus.InvalidArgument, "more than %d checkpoints", maxRecords)
	}
	for _, c := range checkpoints {
		if len(c) > maxFilter {
			return false, 0, 0, nil, fail(dbus.InvalidArgument, "%s is no checkpoint", quoted(c))
		}
	}
	report, err := audit.Verify(ctx, m.s.o.Root.Audit(), checkpoints)
	if missing(err) {
		return false, 0, 0, nil, fail(dbus.NoSuchRecord, "there is no audit log yet; the first change begins it")
	}
	if err != nil {
		return false, 0, 0, nil, err
	}
	return report.OK(), uint64(report.Records), uint64(report.Proven), sentences(report.Sentences()), nil
}

// ExportAudit writes the whole log to the caller's file.
func (m manager) ExportAudit(ctx context.Context, _ caller, fd godbus.UnixFD, format string) (uint64, error) {
	if !slices.Contains([]string{"jsonl", "csv", "text"}, format) {
		return 0, fail(dbus.InvalidArgument, "there is no format %s; give jsonl, csv or text", quoted(format))
	}
	f, err := streamOf(fd, true)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { _ = f.SetWriteDeadline(time.Now()) })()
	w := &patient{ctx: ctx, f: f, stall: m.s.o.Times.Stall}
	err = audit.Export(ctx, m.s.o.Root.Audit(), w, format)
	if missing(err) {
		err = nil
	}
	return w.n, err
}

// ExportAuditText is a piece of the log.
func (m manager) ExportAuditText(ctx context.Context, _ caller, from uint64, limit uint32) (string, uint64, error) {
	if err := limited(limit); err != nil {
		return "", 0, err
	}
	first, err := number(from)
	if err != nil {
		return "", 0, err
	}
	var text []byte
	next, n := first, uint32(0)
	err = audit.Read(ctx, m.s.o.Root.Audit(), first, func(r audit.Record, line []byte) error {
		if n >= limit || len(text)+len(line) > maxAnswer && n > 0 {
			return errEnough
		}
		text = append(append(text, line...), '\n')
		next, n = max(next, r.Seq+1), n+1
		return nil
	})
	if missing(err) || errors.Is(err, errEnough) {
		err = nil
	}
	return strings.ReplaceAll(strings.ToValidUTF8(string(text), "\uFFFD"), "\x00", "\uFFFD"), uint64(next), err // a damaged line may hold anything
}

// errEnough ends a reading that has what it wanted.
var errEnough = errors.New("enough")

// missing reports whether there is no log yet.
func missing(err error) bool { return errors.Is(err, fs.ErrNotExist) }
