package daemon

import (
	"context"
	"fmt"
	"slices"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// tidy forgets and prunes what is old.
func (x *Executor) tidy(ctx context.Context) {
	x.book.Forget(x.now())
	if err := x.log.Prune(ctx); err != nil {
		x.warn("cannot prune the audit log", "error", err)
	}
	x.findLoudest(ctx)
}

// findLoudest names the qube that wrote most of a log which is over its size
// and too young to be pruned: that one is denied until there is room, so that
// no qube can push the records of others out or fill dom0's disk.
func (x *Executor) findLoudest(ctx context.Context) {
	name := ""
	if slices.ContainsFunc(x.log.Findings(), func(f audit.Finding) bool { return f.Kind == audit.Young }) {
		var err error
		if name, err = x.loudestOf(ctx); err != nil {
			x.warn("cannot tell which qube fills the audit log", "error", err)
			return
		}
	}
	x.loudest.Store(&name)
	if name == "" {
		x.complain(healthLoudest, "", nil)
		return
	}
	x.complain(healthLoudest, "the audit log is full and too young to be pruned",
		fmt.Errorf("%s wrote most of it and is denied until it can be pruned; a larger QVM_REMOTE_AUDIT_BYTES helps too", name))
}

// loudestOf reads the whole log; it is called only while the log is too large.
func (x *Executor) loudestOf(ctx context.Context) (name string, err error) {
	sizes := map[string]int64{}
	err = audit.Read(ctx, x.o.Root.Audit(), 0, func(r audit.Record, line []byte) error {
		if r.Qube != "" {
			if sizes[r.Qube] += int64(len(line)); sizes[r.Qube] > sizes[name] {
				name = r.Qube
			}
		}
		return nil
	})
	return name, err
}

// tooLoud denies a qube that fills the log. It claims nothing, for a claim
// would make the log larger.
func (q *qube) tooLoud() *queue.Denial {
	if name := q.x.loudest.Load(); name == nil || *name != q.name {
		return nil
	}
	return &queue.Denial{Reason: queue.Limit, Detail: "dom0's audit log is full, and this qube wrote most of it"}
}
