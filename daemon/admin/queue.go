package admin

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/settings"
	"qvmremote/daemon/transport"
	"qvmremote/daemon/transport/poll"
	"qvmremote/queue"
)

// Stale is the age from which nothing in a queue can be waited for: no request
// is valid for longer.
const Stale = claim.Keep

// NotRunning is the Note of a qube that could not be asked because it does not
// run; that is no failure.
const NotRunning = "not running"

// patience is for one qube, whatever it answers: a queue may list a thousand
// files, and each answer may take its time.
const patience = 2 * time.Minute

// QueueReport is one qube's queue, and what was done to it. All text in it that
// came from the qube is to be quoted on output; names are checked ones.
type QueueReport struct {
	VM      string         `json:"vm"`
	Note    string         `json:"note,omitempty"` // why it could not be asked; "" if it was
	Pending int            `json:"pending"`        // requests not taken
	Running int            `json:"running"`        // taken, without an answer
	Results int            `json:"results"`        // answers the qube's user has not fetched
	Entries []queue.Entry  `json:"-"`
	More    int64          `json:"more,omitempty"`    // files beyond Entries, names that are no ids included
	Done    []string       `json:"done,omitempty"`    // what was cleaned or recovered, by name
	Skipped int            `json:"skipped,omitempty"` // left alone: in use, or not old enough
	Records []audit.Record `json:"-"`                 // see Debug
}

// Targets are the qubes named, or all that are configured or have a key.
func (a *Admin) Targets(ctx context.Context, names []string) ([]string, error) {
	if len(names) > 0 {
		for _, vm := range names {
			if err := checkName(vm); err != nil {
				return nil, err
			}
		}
		return names, nil
	}
	lines, err := a.qubes(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range lines {
		names = append(names, q.Name)
	}
	return names, nil
}

// Queues asks what is in the queues of the qubes that run.
func (a *Admin) Queues(ctx context.Context, vms []string) []QueueReport {
	return a.each(ctx, vms, func(context.Context, transport.Conn, *QueueReport) error { return nil })
}

// Clean removes what is older than [Stale] from the queues, or with all
// everything, except what belongs to a request that dom0 still works on.
func (a *Admin) Clean(ctx context.Context, vms []string, all bool) []QueueReport {
	return a.each(ctx, vms, func(ctx context.Context, conn transport.Conn, q *QueueReport) error {
		book, err := a.book(ctx)
		if err != nil {
			return err
		}
		for _, e := range q.Entries {
			status := book.Lookup(q.VM, idOf(e))
			// A qube may name any age; more seconds than fit mean old.
			old := e.Age > int64(Stale/time.Second)
			if status == claim.Open || status == claim.Final || !old && !all {
				q.Skipped++
				continue
			}
			if err = remove(ctx, conn, e); err != nil {
				break
			}
			q.Done = append(q.Done, string(e.Folder)+"/"+e.Name)
		}
		if len(q.Done) == 0 {
			return err
		}
		_, unrecorded := a.record(context.WithoutCancel(ctx), audit.Record{Event: audit.Cleaned, Qube: q.VM, Count: int64(len(q.Done)), Detail: fmt.Sprintf("%d files of the queue", len(q.Done))})
		return errors.Join(err, unrecorded)
	})
}

func remove(ctx context.Context, conn transport.Conn, e queue.Entry) error {
	err := conn.Clean(ctx, e.Folder, e.Name)
	var failure *queue.Failure
	if errors.As(err, &failure) && failure.Code == queue.CodeGone {
		return nil
	}
	return err
}

// idOf is the id that a file in the queue belongs to.
func idOf(e queue.Entry) string {
	for _, ending := range []string{queue.Auth, ".cmd", queue.Out, queue.Err, queue.Meta, queue.Denied, queue.Exit} {
		id, ok := strings.CutSuffix(e.Name, ending)
		if ok && (e.Folder == queue.FolderPending || e.Folder == queue.FolderResults) && queue.ValidID(id) {
			return id
		}
	}
	return e.Name
}

// each opens each qube that runs, lists its queue, and does what is asked.
func (a *Admin) each(ctx context.Context, vms []string, do func(context.Context, transport.Conn, *QueueReport) error) []QueueReport {
	reports := make([]QueueReport, len(vms))
	qubes.Each(len(vms), func(i int) {
		reports[i].VM = vms[i]
		if err := a.open(ctx, &reports[i], do); err != nil {
			reports[i].Note = err.Error()
		}
	})
	return reports
}

func (a *Admin) open(ctx context.Context, q *QueueReport, do func(context.Context, transport.Conn, *QueueReport) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch err := a.running(ctx, q.VM); {
	case errors.Is(err, qubes.ErrNoQube):
		return errors.New("no such qube")
	case err != nil:
		return err
	}
	conn, err := a.dial(ctx, q.VM)
	if err != nil {
		return err
	}
	defer conn.Close()
	list, err := conn.List(ctx)
	if err != nil {
		return err
	}
	q.take(list)
	return do(ctx, conn, q)
}

// dial reaches a qube as the executor would first; a call or two is all there is
// to make.
func (a *Admin) dial(ctx context.Context, vm string) (transport.Conn, error) {
	path, err := qubes.Tool(a.Root, "qvm-run")
	if err != nil {
		return nil, err
	}
	set, caller := a.usable(), transport.Caller{Path: path}
	if set.Transport == settings.Qrexec {
		if caller.Path, err = qubes.Tool(a.Root, "qrexec-client"); err != nil {
			return nil, err
		}
		caller.Qrexec = true
	}
	var stream *transport.Stream
	if set.Transport != settings.Poll {
		stream = &transport.Stream{Caller: caller, Account: set.VMUser, Times: a.Times,
			Budget: transport.NewBudget(queue.MaxPayload, queue.MaxPayload), Now: a.Now, Version: queue.Version}
	}
	d := poll.Dialer{Caller: caller, Account: set.VMUser, Times: poll.DefaultTimes(), AtOnce: true, Running: a.running}
	conn, _, err := d.Reach(ctx, stream, vm)
	return conn, err
}

func (a *Admin) running(ctx context.Context, vm string) error {
	state, err := a.Tools.State(ctx, vm, 5*time.Second)
	if err == nil && state != qubes.Running {
		err = errors.New(NotRunning)
	}
	return err
}

// take counts requests, not files.
func (q *QueueReport) take(list queue.Entries) {
	q.Entries, q.More = list.List, list.More
	for _, e := range list.List {
		switch e.Folder {
		case queue.FolderPending:
			if idOf(e) == e.Name {
				q.Pending++
			}
		case queue.FolderRunning:
			q.Running++
		case queue.FolderResults:
			if strings.HasSuffix(e.Name, queue.Exit) || strings.HasSuffix(e.Name, queue.Denied) {
				q.Results++
			}
		}
	}
}

// book reads what is known of requests now.
func (a *Admin) book(ctx context.Context) (*claim.Book, error) {
	l, err := a.unlocked(ctx)
	if err != nil {
		return nil, err
	}
	return l.book, l.close()
}

// lastRecords is how many of the newest records are searched for a qube's own.
const lastRecords = 2000

// Debug lists the queues and, beside each, the qube's last n audit records.
func (a *Admin) Debug(ctx context.Context, vms []string, n int) ([]QueueReport, error) {
	reports := a.Queues(ctx, vms)
	last, err := audit.ReadLast(ctx, a.Root.Audit(), lastRecords)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return reports, err
	}
	for i := range reports {
		q := &reports[i]
		for _, r := range last {
			if r.Qube == q.VM {
				q.Records = append(q.Records, r)
			}
		}
		q.Records = q.Records[max(0, len(q.Records)-n):]
	}
	return reports, nil
}
