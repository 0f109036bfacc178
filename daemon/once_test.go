package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

func TestOnceSeesThroughWhatIsThere(t *testing.T) {
	t.Parallel()
	q, other := newTestQube(t), newTestQube(t)
	w := newWorld(t, q, other)
	w.o.Once = true
	w.o.Times.MaxRetry = time.Minute
	a, b := q.submit("a", "echo a\n"), q.submit("b", "exit 4\n")
	c := other.submit("a", "true\n")
	if err := Run(t.Context(), w.o); err != nil {
		t.Fatal(err)
	}
	if r := q.result("a", a); r.Exit != 0 || r.Out != queue.SumOf([]byte("a\n")) {
		t.Errorf("%+v", r)
	}
	if r := q.result("b", b); r.Exit != 4 {
		t.Errorf("%+v", r)
	}
	other.result("a", c)
	if w.count(audit.Delivered, "") != 3 || w.spooled() != 0 {
		t.Error("something is left")
	}
}

func TestOnceDoesNotWaitForEverForAQubeThatTakesNothing(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Once = true
	q.setRefuse(noFinish)
	h := q.submit("a", "true\n")
	if err := Run(t.Context(), w.o); err == nil || !strings.Contains(err.Error(), "kept") {
		t.Fatalf("%v", err)
	}
	q.setRefuse(nil)
	w.o.Times.MaxRetry = time.Minute
	if err := Run(t.Context(), w.o); err != nil {
		t.Fatal(err)
	}
	if r := q.result("a", h); r.State != queue.StateExit || w.count(audit.Run, "a") != 1 {
		t.Errorf("%+v", r)
	}
}

func TestOnceStopsWhenToldTo(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Once = true
	h := q.submit("a", "echo begun; sleep 1000\n")
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, w.o) }()
	q.until("it runs", func() bool { return len(q.out["a.out"]) > 0 })
	cancel()
	<-ended
	if r := q.result("a", h); r.State != queue.StateInterrupted {
		t.Errorf("%+v", r)
	}
}

func TestOnceSaysWhatDoesNotRun(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Once = true
	q.halt()
	if err := Run(t.Context(), w.o); err == nil || !strings.Contains(err.Error(), q.name) {
		t.Errorf("%v", err)
	}
}

func TestADryRunStartsNothing(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Once, w.o.DryRun = true, true
	w.o.Times.MaxRetry = time.Minute
	h := q.submit("a", "exit 9\n")
	if err := Run(t.Context(), w.o); err != nil {
		t.Fatal(err)
	}
	if r := q.result("a", h); r.State != queue.StateExit || r.Exit != 0 || r.Out != queue.SumOf([]byte("[dry-run] exit 9\n")) {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Run, "") != 0 {
		t.Error("a shell was recorded")
	}
}
