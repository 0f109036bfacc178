package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
)

// onFiles is dom0 by its files, for where no service answers. It may be used
// while an executor runs.
type onFiles struct{ *admin.Admin }

func (a *app) onFiles(root paths.Root) dom0 {
	return onFiles{admin.New(root, a.environ, a.who(), "cli")}
}

func (f onFiles) Way() string { return "the files below " + string(f.Root) }

func (f onFiles) Close() {}

func (f onFiles) Doctor(ctx context.Context) ([]admin.Finding, error) {
	return f.Admin.Doctor(ctx), nil
}

func (f onFiles) Offered(ctx context.Context, vm string) (string, taking, error) {
	key, err := f.FetchKey(ctx, vm)
	if err != nil {
		return "", nil, err
	}
	return key.Fingerprint(), func(ctx context.Context, terms admin.Terms) (admin.Change, error) {
		return f.Connect(ctx, vm, key, terms)
	}, nil
}

func (f onFiles) Queues(ctx context.Context, vms []string, _ bool) ([]admin.QueueReport, error) {
	return f.Admin.Queues(ctx, vms), nil
}

func (f onFiles) Clean(ctx context.Context, vms []string, all bool) ([]admin.QueueReport, error) {
	return f.Admin.Clean(ctx, vms, all), nil
}

func (f onFiles) Recover(ctx context.Context, vms []string) ([]admin.QueueReport, error) {
	return f.Admin.Recover(ctx, vms), nil
}

func (f onFiles) Start(ctx context.Context) (bool, error) {
	err := f.Admin.Start(ctx)
	return f.Paused() != admin.NotPaused, err
}

func (f onFiles) Stop(ctx context.Context) error { return f.Admin.Stop(ctx, true) }

func (f onFiles) Restart(ctx context.Context) (bool, error) {
	err := f.Admin.Restart(ctx, true)
	return f.Paused() != admin.NotPaused, err
}

func (f onFiles) Resume(ctx context.Context) (bool, []string, error) {
	was := f.Paused() != admin.NotPaused
	warnings, err := f.Admin.Resume(ctx)
	return was, warnings, err
}

// errOnlyBus is for what only a running executor knows, and tells nowhere but
// on the bus.
var errOnlyBus = errors.New("the daemon tells what it works on only over the message bus, where it does not answer\n" +
	"hint: what it began and ended: " + programName + " audit show; to end all of it: " + programName + " stop-everything")

func (f onFiles) Commands(context.Context) ([]dbus.Command, error) {
	if _, running := f.Executor(); running {
		return nil, errOnlyBus
	}
	return nil, nil
}

func (f onFiles) Cancel(_ context.Context, number uint64) error {
	if _, running := f.Executor(); running {
		return errOnlyBus
	}
	return fmt.Errorf("the daemon is not running, and so is no command with the number %d", number)
}

// log is the audit log's folder.
func (f onFiles) log() (string, error) {
	dir := f.Root.Audit()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return "", noLog(f.Root)
	}
	return dir, nil
}

func noLog(root paths.Root) error {
	return fmt.Errorf("there is no audit log in %s yet; the first change begins it", root.Audit())
}

func (f onFiles) Newest(ctx context.Context, vm string, n int) ([]audit.Record, error) {
	dir, err := f.log()
	if err != nil {
		return nil, err
	}
	if vm == "" || n == 0 {
		return audit.ReadLast(ctx, dir, n)
	}
	var last []audit.Record
	for next := int64(0); len(last) < n; {
		lines, before, err := audit.Query(ctx, dir, audit.Filter{Qube: vm}, next, n-len(last), 0)
		if err != nil {
			return nil, err
		}
		for _, line := range lines {
			last = append(last, record(string(line)))
		}
		if next = before; next == 0 {
			break
		}
	}
	slices.Reverse(last)
	return last, nil
}

func (f onFiles) Follow(ctx context.Context, from int64, show func(audit.Record) error) error {
	dir, err := f.log()
	if err != nil {
		return err
	}
	return audit.Follow(ctx, dir, from, func(r audit.Record, _ []byte) error { return show(r) })
}

func (f onFiles) Verify(ctx context.Context, checkpoints []string) (bool, []string, error) {
	dir, err := f.log()
	if err != nil {
		return false, nil, err
	}
	report, err := audit.Verify(ctx, dir, checkpoints)
	if err != nil {
		return false, nil, err
	}
	return report.OK(), report.Sentences(), nil
}

func (f onFiles) Export(ctx context.Context, w io.Writer, format string) error {
	dir, err := f.log()
	if err != nil {
		return err
	}
	return audit.Export(ctx, dir, w, format)
}
