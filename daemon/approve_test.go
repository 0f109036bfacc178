package daemon

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"qvmremote/daemon/approval"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/boot"
	"qvmremote/queue"
)

// rules writes the policy of a qube, as an editor does.
func (w *world) rules(q *testQube, text string) {
	w.t.Helper()
	path := filepath.Join(w.o.Root.Keys(), q.name+".policy")
	if err := errors.Join(os.WriteFile(path+"~", []byte(text), 0o600), os.Rename(path+"~", path)); err != nil {
		w.t.Fatal(err)
	}
}

// asks waits until a question of the qube is open.
func (w *world) asks(x *Executor, q *testQube) (found approval.Question) {
	w.t.Helper()
	w.eventually(q.name+" waits for approval", func() bool {
		open := x.Questions()
		i := slices.IndexFunc(open, func(a approval.Question) bool { return a.Qube == q.name })
		if i >= 0 {
			found = open[i]
		}
		return i >= 0
	})
	return found
}

func (w *world) approve(x *Executor, q approval.Question, scope approval.Scope) {
	w.t.Helper()
	if err := x.Approve(context.Background(), q.Number, q.Hash, scope, "ann", "test"); err != nil {
		w.t.Fatal(err)
	}
}

// denied fails the test unless the request was denied for that reason.
func (q *testQube) denied(id string, header []byte, want queue.Reason) {
	q.t.Helper()
	if r := q.result(id, header); r.State != queue.StateDenied || r.Reason != want {
		q.t.Fatalf("%s ended with %+v, want denied(%s)", id, r, want)
	}
}

func (q *testQube) ran(id string, header []byte) {
	q.t.Helper()
	if r := q.result(id, header); r.State != queue.StateExit || r.Exit != 0 {
		q.t.Fatalf("%s ended with %+v, want exit 0", id, r)
	}
}

// events are those of one request, in order.
func (w *world) events(id string) (list []audit.Event) {
	for _, r := range w.records() {
		if r.ID == id {
			list = append(list, r.Event)
		}
	}
	return list
}

func TestAnAskedRequestRunsWhenItsBytesAreApproved(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	x, _, _ := w.observed()
	header := q.submit("one", "echo approved\n")
	asked := w.asks(x, q)
	q.until("the qube sees that it waits", func() bool { return q.running["one"] == queue.WordApproval })
	script, err := x.RequestScript(asked.Number)
	if err != nil || string(script) != "echo approved\n" || asked.Hash != queue.HashOf(queue.SumOf(script), queue.Sum{}) || asked.Stdin != -1 ||
		!strings.Contains(asked.Rule, "ask **") {
		t.Fatalf("asked about %q, %+v, %v", script, asked, err)
	}
	if s := x.Snapshot(); s.Waiting != 1 || s.Running != 0 {
		t.Errorf("while it waits: %+v", s)
	}
	if err := x.Approve(context.Background(), asked.Number, strings.Repeat("0", 64), approval.Scope{}, "ann", "test"); !errors.Is(err, approval.ErrHash) {
		t.Fatalf("another hash: %v", err)
	}
	if err := x.Approve(context.Background(), asked.Number+1, asked.Hash, approval.Scope{}, "ann", "test"); !errors.Is(err, approval.ErrNone) {
		t.Fatalf("another number: %v", err)
	}
	if n := w.count(audit.Run, ""); n != 0 {
		t.Fatal("it ran before it was approved")
	}
	w.approve(x, asked, approval.Scope{})
	q.ran("one", header)
	w.eventually("it is delivered", func() bool { return w.count(audit.Delivered, "one") == 1 })
	if got := w.events("one"); !slices.Equal(got, []audit.Event{audit.Claim, audit.Approved, audit.Run, audit.Final, audit.Delivered}) {
		t.Errorf("the log has %v", got)
	}
	for _, r := range w.of(audit.Approved) {
		if r.Who != "ann" || r.Way != "test" || r.Hash != asked.Hash || r.Detail != "once" || !strings.Contains(r.Rule, "ask **") {
			t.Errorf("recorded as %+v", r)
		}
	}
	if err := x.Approve(context.Background(), asked.Number, asked.Hash, approval.Scope{}, "ann", "test"); !errors.Is(err, approval.ErrNone) {
		t.Errorf("twice: %v", err)
	}
	if got, ok := x.LastApproved(q.name); !ok || string(got.Script) != "echo approved\n" || got.Stdin.Present {
		t.Errorf("the last approved is %+v", got)
	}
}

func TestADenialNamesWhoAndLasts(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	x, _, stop := w.observed()
	first := q.submit("one", "id\n")
	asked := w.asks(x, q)
	same := q.submit("two", "id\n")
	w.eventually("the second waits behind it", func() bool { return x.Questions()[0].Waiting == 1 })
	if err := x.DenyRequest(asked.Number, false, "ann", "test"); err != nil {
		t.Fatal(err)
	}
	q.denied("one", first, queue.NotApproved)
	q.denied("two", same, queue.NotApproved)
	q.denied("three", q.submit("three", "id\n"), queue.NotApproved)
	for _, r := range w.of(audit.Final) {
		if r.ID != "three" && (r.Who != "ann" || r.Way != "test") {
			t.Errorf("the record does not say who: %+v", r)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	x, _, _ = w.observed()
	q.denied("four", q.submit("four", "id\n"), queue.NotApproved)
	other := q.submit("five", "true\n")
	w.approve(x, w.asks(x, q), approval.Scope{})
	q.ran("five", other)
}

func TestNobodyApprovesInTime(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	x, _, _ := w.observed()
	header := q.header("one", "true\n", func(r *queue.Request) { r.Expires = r.Issued + 8 })
	q.put("one", header, "true\n")
	asked := w.asks(x, q)
	q.denied("one", header, queue.NoApprover)
	if err := x.Approve(context.Background(), asked.Number, asked.Hash, approval.Scope{}, "ann", "test"); !errors.Is(err, approval.ErrNone) {
		t.Errorf("after it expired: %v", err)
	}
	if n := w.count(audit.Run, ""); n != 0 {
		t.Error("it ran")
	}
}

func TestAWaitingRequestIsCancelledByItsQubeAndStopped(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	x, _, _ := w.observed()
	header := q.submit("one", "true\n")
	w.asks(x, q)
	q.cancel("one", header, q.key)
	if r := q.result("one", header); r.State != queue.StateCancelled {
		t.Fatalf("cancelled: %+v", r)
	}
	header = q.submit("two", "true\n")
	w.asks(x, q)
	touch(t, w.o.Root.Stop())
	q.denied("two", header, queue.NotReady)
	if open := x.Questions(); len(open) != 0 {
		t.Errorf("still open: %+v", open)
	}
}

func TestGrantsOutliveTheDaemonAndNoBoot(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask **\n")
	lasted := time.Hour
	w.o.Boot = boot.Clock{ID: "one", Now: func() time.Duration { return lasted }}
	x, _, stop := w.observed()
	header := q.submit("one", "true\n")
	w.approve(x, w.asks(x, q), approval.Scope{For: 10 * time.Minute})
	q.ran("one", header)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.o.Now = func() time.Time { return time.Now().Add(10 * time.Second) } // the wall clock does not count
	_, _, stop = w.observed()
	q.ran("two", q.submit("two", "true\n"))
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	w.o.Boot.ID = "two"
	x, _, stop = w.observed()
	header = q.submit("three", "true\n")
	w.approve(x, w.asks(x, q), approval.Scope{Count: 1, Qube: true})
	q.ran("three", header)
	q.ran("four", q.submit("four", "echo another\n"))
	header = q.submit("five", "echo another\n")
	w.approve(x, w.asks(x, q), approval.Scope{})
	q.ran("five", header)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}

// TestAnApprovalForATimeStartsNothingAfterIt: what was let through in its time
// and then waited for its turn.
func TestAnApprovalForATimeStartsNothingAfterIt(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "ask touch **\nallow **\nlimit running 1\n")
	var lasted atomic.Int64
	lasted.Store(int64(time.Hour))
	w.o.Boot = boot.Clock{ID: "one", Now: func() time.Duration { return time.Duration(lasted.Load()) }}
	x, _, _ := w.observed()
	first := q.submit("first", "touch asked\n")
	w.approve(x, w.asks(x, q), approval.Scope{For: 10 * time.Minute})
	q.ran("first", first)
	running, release := w.holds(q)
	granted := q.submit("granted", "touch asked\n")
	w.eventually("the granted one waits for its turn", func() bool { return x.slots.Waiting(q.name) == 1 })
	if err := os.Remove(filepath.Join(w.o.Root.Home(), "asked")); err != nil {
		t.Fatal(err)
	}
	lasted.Add(int64(10 * time.Minute))
	touch(t, release)
	q.ran("running", running)
	q.denied("granted", granted, queue.NotApproved)
	if _, err := os.Stat(filepath.Join(w.o.Root.Home(), "asked")); err == nil {
		t.Error("it ran after the time that it was approved for")
	}
}

func TestThePolicyDecides(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	if err := os.Remove(filepath.Join(w.o.Root.Keys(), q.name+".policy")); err != nil {
		t.Fatal(err)
	}
	x, _, _ := w.observed()
	q.denied("none", q.submit("none", "true\n"), queue.NoPolicy)
	ping := q.header("ping", "", func(r *queue.Request) { r.Kind, r.Body = queue.KindPing, queue.SumOf(nil) })
	q.put("ping", ping, "")
	q.ran("ping", ping)
	w.rules(q, "allow echo yes\ndeny echo no\n")
	q.ran("yes", q.submit("yes", "echo yes\n"))
	q.denied("no", q.submit("no", "echo no\n"), queue.PolicyDenied)
	q.denied("other", q.submit("other", "echo other\n"), queue.NoRule)
	q.denied("script", q.submit("script", "echo $(id)\n"), queue.NoRule)
	for _, r := range w.of(audit.Final) {
		if r.ID == "no" && !strings.Contains(r.Rule, "deny echo no") {
			t.Errorf("the denial does not name its rule: %+v", r)
		}
	}
	for _, r := range w.of(audit.Run) {
		if !strings.Contains(r.Rule, "allow echo yes") {
			t.Errorf("the start does not name its rule: %+v", r)
		}
	}
	w.rules(q, "allow **\nallwo ls\n")
	w.eventually("the daemon says what is wrong", func() bool {
		return slices.ContainsFunc(x.Snapshot().Health, func(h Health) bool {
			return h.Code == HealthPolicy+q.name && h.Severity == audit.Error && strings.Contains(h.Text, "2")
		})
	})
	q.denied("broken", q.submit("broken", "echo yes\n"), queue.BadPolicy)
	w.rules(q, "allow **\n")
	q.ran("mended", q.submit("mended", "echo $(id)\n"))
	w.eventually("nothing is wrong any more", func() bool {
		return len(x.Snapshot().Health) == 0 || !strings.Contains(x.Snapshot().Health[0].Code, HealthPolicy)
	})
}

// holds has a qube take a place among what runs, until the file release is there.
// The place is taken before the rules are asked for the last time, so only the
// command itself shows that they were.
func (w *world) holds(q *testQube) (running []byte, release string) {
	w.t.Helper()
	begun := filepath.Join(w.o.Root.Home(), "begun")
	running = q.submit("running", ": >begun; until [ -e release ]; do sleep 0.02; done\n")
	w.eventually("it runs", func() bool { _, err := os.Stat(begun); return err == nil })
	return running, filepath.Join(w.o.Root.Home(), "release")
}

func TestAnEditCountsForWhatWaitsForItsTurn(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.rules(q, "allow **\nlimit running 1\n")
	x, _, _ := w.observed()
	running, release := w.holds(q)
	waiting := q.submit("waiting", "true\n")
	w.eventually("the second waits for its turn", func() bool { return x.Snapshot().Waiting == 1 })
	w.rules(q, "deny **\n")
	touch(t, release)
	q.ran("running", running)
	q.denied("waiting", waiting, queue.PolicyDenied)
}

// TestLoweredLimitsReachWhatWaits, and raised ones do so without another request.
func TestLoweredLimitsReachWhatWaits(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]string{"script": "limit script 8\n", "timeout": "limit timeout 5\n"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newTestQube(t)
			w := newWorld(t, q)
			w.rules(q, "allow **\nlimit running 1\n")
			x, _, _ := w.observed()
			running, release := w.holds(q)
			waiting := q.submit("waiting", "true # more than eight bytes\n")
			w.eventually("the second waits for its turn", func() bool { return x.Snapshot().Waiting == 1 })
			w.rules(q, "allow **\nlimit running 2\n"+limit)
			q.denied("waiting", waiting, queue.Limit)
			touch(t, release)
			q.ran("running", running)
		})
	}
}

func TestThePolicyLimitsItsQube(t *testing.T) {
	t.Parallel()
	q, free := newTestQube(t), newTestQube(t)
	w := newWorld(t, q, free)
	w.rules(q, "allow **\nlimit requests 3/min\nlimit script 20\nlimit timeout 5\n")
	w.observed()
	short := func(r *queue.Request) { r.Timeout = 5 }
	send := func(id, script string, edit func(*queue.Request)) []byte {
		header := q.header(id, script, edit)
		q.put(id, header, script)
		return header
	}
	q.denied("long", send("long", "true # more than twenty bytes\n", short), queue.Limit)
	q.denied("slow", send("slow", "true\n", nil), queue.Limit)
	q.ran("good", send("good", "true\n", short))
	header := send("fast", "true\n", short)
	if r := q.denial("fast", header); r.Reason != queue.Rate {
		t.Errorf("the fourth in a minute: %+v", r)
	}
	free.ran("free", free.submit("free", "true\n"))
}
