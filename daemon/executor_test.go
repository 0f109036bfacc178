package daemon

import (
	"errors"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

func TestACommandRunsAndIsAnswered(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	stop := w.start()
	h := q.submit("a", "echo out; echo err >&2; exit 3\n")
	r := q.result("a", h)
	if r.State != queue.StateExit || r.Exit != 3 || r.Started == 0 || r.Checkpoint == "" {
		t.Errorf("%+v", r)
	}
	q.mu.Lock()
	if string(q.out["a.out"]) != "out\n" || string(q.out["a.err"]) != "err\n" {
		t.Errorf("output %q and %q", q.out["a.out"], q.out["a.err"])
	}
	q.mu.Unlock()
	w.eventually("the delivery is recorded and the spool empty", func() bool { return w.count(audit.Delivered, "a") == 1 && w.spooled() == 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	var events []audit.Event
	for _, rec := range w.records() {
		if rec.ID == "a" {
			events = append(events, rec.Event)
		}
		if rec.Event == audit.Run && rec.Command != "echo out; echo err >&2; exit 3" {
			t.Errorf("the log shows the command %q", rec.Command)
		}
	}
	if len(events) != 4 || events[0] != audit.Claim || events[1] != audit.Run || events[2] != audit.Final || events[3] != audit.Delivered {
		t.Errorf("recorded: %v", events)
	}
}

func TestASecondExecutorRefuses(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	q.result("a", q.submit("a", "true\n"))
	if err := Run(t.Context(), w.o); !errors.Is(err, ErrRunning) {
		t.Errorf("the second one: %v", err)
	}
	q.result("b", q.submit("b", "true\n"))
}
