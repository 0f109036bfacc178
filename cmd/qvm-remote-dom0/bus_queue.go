package main

import (
	"context"
	"errors"
	"time"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/qubes"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// Targets are the qubes named, whose names alone are looked at here, or all
// that are configured or have a key.
func (b *overBus) Targets(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return b.c.ListQubes(ctx)
	}
	return (&admin.Admin{}).Targets(ctx, names)
}

// each asks about each qube. What went wrong with one qube is its Note; that
// the service cannot be asked, or says no, is an error, beside the reports of
// those qubes where it was done.
func (b *overBus) each(ctx context.Context, vms []string, ask func(*admin.QueueReport) error) ([]admin.QueueReport, error) {
	reports, failed := make([]admin.QueueReport, len(vms)), make([]error, len(vms))
	qubes.Each(len(vms), func(i int) {
		reports[i].VM = vms[i]
		failed[i] = ask(&reports[i])
	})
	var asked []admin.QueueReport
	var failure error // the first one that is about all
	for i, err := range failed {
		switch {
		case err == nil:
		case unreachable(err), ctx.Err() != nil, errors.Is(err, dbus.Err(dbus.NotAuthorized)):
			if failure == nil {
				failure = err
			}
			continue
		case errors.Is(err, dbus.Err(dbus.NoSuchObject)):
			reports[i].Note = notOurs
		default:
			reports[i].Note = err.Error()
		}
		asked = append(asked, reports[i])
	}
	return asked, failure
}

// notOurs is the Note of a qube that the service has no object for.
const notOurs = "it has no key here and is not configured"

func (b *overBus) Queues(ctx context.Context, vms []string, more bool) ([]admin.QueueReport, error) {
	return b.each(ctx, vms, func(r *admin.QueueReport) error {
		s, err := b.c.QueueStatus(ctx, r.VM)
		r.Pending, r.Running, r.Results, r.Note = int(s.Pending), int(s.Running), int(s.Results), s.Note
		if err != nil || s.Note != "" || !more {
			return err
		}
		_, n, note, err := b.c.QueueEntries(ctx, r.VM)
		r.More, r.Note = int64(n), note
		return err
	})
}

func (b *overBus) Clean(ctx context.Context, vms []string, all bool) ([]admin.QueueReport, error) {
	return b.each(ctx, vms, func(r *admin.QueueReport) error {
		done, left, note, err := b.c.CleanQueue(ctx, r.VM, all)
		r.Done, r.Skipped, r.Note = done, int(left), note
		return err
	})
}

func (b *overBus) Recover(ctx context.Context, vms []string) ([]admin.QueueReport, error) {
	return b.each(ctx, vms, func(r *admin.QueueReport) error {
		done, left, note, err := b.c.RecoverQueue(ctx, r.VM)
		r.Done, r.Skipped, r.Note = done, int(left), note
		return err
	})
}

// debugPages bounds the search for a quiet qube's last records: each page
// takes the service a tenth of a second at most.
const debugPages = 10

func (b *overBus) Debug(ctx context.Context, vms []string, records int) ([]admin.QueueReport, error) {
	return b.each(ctx, vms, func(r *admin.QueueReport) error {
		entries, more, note, err := b.c.QueueEntries(ctx, r.VM)
		if err != nil {
			return err
		}
		r.More, r.Note = int64(more), note
		for _, e := range entries {
			r.Entries = append(r.Entries, queue.Entry{Folder: queue.Folder(e.Folder), Name: e.Name, Size: int64(e.Size), Age: int64(e.Age / time.Second), Word: e.Word})
		}
		r.Records, err = b.newest(ctx, r.VM, records, debugPages)
		return err
	})
}
