package daemon

import (
	"context"
	"testing"

	"qvmremote/daemon/approval"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// TestWhatIsTakenBackStartsNothing: of what was approved for long, and by what it
// is taken back.
func TestWhatIsTakenBackStartsNothing(t *testing.T) {
	t.Parallel()
	for name, takeBack := range map[string]func(*world, *Executor, *testQube){
		"by number": func(w *world, x *Executor, q *testQube) {
			if n, err := x.RevokeApprovals(context.Background(), q.name, x.Approvals()[0].Number, "ann", "test"); n != 1 || err != nil {
				w.t.Fatal(n, err)
			}
		},
		"all of the qube": func(w *world, x *Executor, q *testQube) {
			if n, err := x.RevokeApprovals(context.Background(), q.name, 0, "ann", "test"); n != 1 || err != nil {
				w.t.Fatal(n, err)
			}
		},
		"suspended and resumed": func(w *world, x *Executor, q *testQube) {
			if err := x.qubeOf(q.name).suspend(context.Background(), 3); err != nil {
				w.t.Fatal(err)
			}
			w.meta(q, func(m *keys.Meta) { m.Suspended = 0 })
		},
		"the same key authorised anew":    func(w *world, x *Executor, q *testQube) { w.meta(q, func(m *keys.Meta) { m.Authorised++ }) },
		"and that within the same second": func(w *world, x *Executor, q *testQube) { w.meta(q, func(m *keys.Meta) { m.Record++ }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newTestQube(t)
			w := newWorld(t, q)
			w.rules(q, "ask touch **\nallow **\nlimit running 1\n")
			x, _, _ := w.observed()
			first := q.submit("first", "touch asked\n")
			w.approve(x, w.asks(x, q), approval.Scope{UntilReboot: true})
			q.ran("first", first)
			running, release := w.holds(q)
			granted := q.submit("granted", "touch asked\n")
			w.eventually("the granted one waits for its turn", func() bool { return x.slots.Waiting(q.name) == 1 })
			takeBack(w, x, q)
			touch(t, release)
			q.ran("running", running)
			q.denied("granted", granted, queue.NotApproved)
			q.submit("again", "touch asked\n")
			w.asks(x, q)
		})
	}
}

// TestStoppingTakesBackAllApprovals, so that a resume begins with none.
func TestStoppingTakesBackAllApprovals(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	x, _, _ := w.observed()
	header := q.submit("one", "true\n")
	w.approve(x, w.asks(x, q), approval.Scope{UntilReboot: true, Qube: true})
	q.ran("one", header)
	touch(t, w.o.Root.Stop())
	w.eventually("nothing is approved", func() bool { return len(x.Approvals()) == 0 })
}

// TestAKeyThatGoesTakesItsApprovalsAlong, also from one that comes back.
func TestAKeyThatGoesTakesItsApprovalsAlong(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	x, _, _ := w.observed()
	header := q.submit("one", "true\n")
	w.approve(x, w.asks(x, q), approval.Scope{UntilReboot: true, Qube: true})
	q.ran("one", header)
	if err := x.keys.Remove(q.name); err != nil {
		t.Fatal(err)
	}
	w.eventually("nothing is approved", func() bool { return len(x.Approvals()) == 0 })
}
