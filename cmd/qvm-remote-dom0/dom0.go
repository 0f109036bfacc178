package main

import (
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/dbus"
	"qvmremote/queue"
)

// dom0 is what the commands ask of this machine. There are two ways to it, and
// each answers in the same words: the service on the message bus ([overBus])
// and, where there is none, the files themselves ([onFiles]).
type dom0 interface {
	keyring
	queues
	executor
	approvals
	rulebook
	auditLog

	Status(context.Context) (admin.Status, error)
	Doctor(context.Context) ([]admin.Finding, error)

	Way() string // for people
	Close()
}

// keyring is who may run commands. A key that another one would have to give
// way to is an [*admin.ReplaceError], one that is not there [keys.ErrNoKey].
type keyring interface {
	Keys(context.Context) ([]admin.Key, error)
	Authorize(ctx context.Context, vm string, key queue.Key, terms admin.Terms) (admin.Change, error)
	Connect(ctx context.Context, vm string, key queue.Key, terms admin.Terms) (admin.Change, error)
	// Offered tells the fingerprint of the key that a running qube has. take
	// authorises the qube with that very key.
	Offered(ctx context.Context, vm string) (fingerprint string, take taking, err error)
	Revoke(ctx context.Context, vm string) (admin.Change, error)
	Rotate(ctx context.Context, vm string, key queue.Key) (admin.Change, error)
	CancelRotation(ctx context.Context, vm string) (admin.Change, error)
	Disconnect(ctx context.Context, vm string) (admin.Change, error)
	Limit(ctx context.Context, vm string, limit admin.Limit) (admin.Change, error)
	Readmit(ctx context.Context, vm string) (admin.Change, error)
}

// taking stores a key on these terms.
type taking func(ctx context.Context, terms admin.Terms) (admin.Change, error)

// queues are those in the qubes. An error is about all of them; what is wrong
// with one is its report's Note.
type queues interface {
	Targets(ctx context.Context, names []string) ([]string, error)
	// Queues counts; more says that also files must be counted that are none of
	// a request.
	Queues(ctx context.Context, vms []string, more bool) ([]admin.QueueReport, error)
	Clean(ctx context.Context, vms []string, all bool) ([]admin.QueueReport, error)
	Recover(ctx context.Context, vms []string) ([]admin.QueueReport, error)
	Debug(ctx context.Context, vms []string, records int) ([]admin.QueueReport, error)
}

// executor is the service that runs commands. What is reported as done is
// done: a stop has ended, a start works.
type executor interface {
	Enable(context.Context) (warnings []string, err error)  // now and at each boot
	Disable(context.Context) (warnings []string, err error) // now and for future boots
	Start(context.Context) (paused bool, err error)
	Stop(context.Context) error
	Restart(context.Context) (paused bool, err error)
	Pause(context.Context) (warnings []string, err error)
	Resume(context.Context) (was bool, warnings []string, err error) // was it paused?
	StopEverything(context.Context) (warnings []string, err error)
	Commands(context.Context) ([]dbus.Command, error)
	Cancel(ctx context.Context, number uint64) error
}

// auditLog is the log of all that happened. Where there is none yet each
// method fails with the same sentence.
type auditLog interface {
	// Newest gives the last n records, of one qube unless vm is "", the oldest
	// first.
	Newest(ctx context.Context, vm string, n int) ([]audit.Record, error)
	// Follow calls show with each record from that number on, until ctx ends.
	Follow(ctx context.Context, from int64, show func(audit.Record) error) error
	Verify(ctx context.Context, checkpoints []string) (verified bool, sentences []string, err error)
	Export(ctx context.Context, w io.Writer, format string) error
}

// onDom0 runs do by the way that there is to dom0.
func (a *app) onDom0(do func(context.Context, dom0, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.action = actionOf(c)
		root, err := a.rootDir()
		if err != nil {
			return err
		}
		d, err := a.reach(c.Context(), root)
		if err != nil {
			return err
		}
		if d == nil {
			if err := a.needRoot(root, a.action); err != nil {
				return err
			}
			d = a.onFiles(root)
		}
		defer d.Close()
		return do(c.Context(), d, args)
	}
}

// reach is the service on the root's bus; nil where there is no bus or no such
// service on it, and where somebody chose the files. A service that is there
// and does not answer, or does not let the caller do what it asks, is an error:
// the files are no way around that.
func (a *app) reach(ctx context.Context, root paths.Root) (dom0, error) {
	address, ok := root.Bus(a.environ)
	if a.offline || !ok {
		return nil, nil
	}
	c, err := dbus.Dial(ctx, address)
	if errors.Is(err, dbus.Err(dbus.Disconnected)) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	installed, err := c.Installed(ctx)
	if err != nil || !installed {
		_ = c.Close() // nothing was asked of it that could be lost
		return nil, err
	}
	c.Interactive = a.interactive()
	return &overBus{c: c, root: root, address: address}, nil
}

// unreachable reports whether err says that the service could not be asked, as
// opposed to what it answered.
func unreachable(err error) bool {
	for _, code := range []dbus.Code{dbus.Absent, dbus.Disconnected, dbus.Incompatible} {
		if errors.Is(err, dbus.Err(code)) {
			return true
		}
	}
	// Of its own deadlines the service tells by name alone.
	return errors.Is(err, dbus.Err(dbus.TimedOut)) && errors.Is(err, context.DeadlineExceeded)
}
