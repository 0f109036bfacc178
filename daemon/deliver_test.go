package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// noFinish is an agent that cannot take a result.
func noFinish(m queue.Message) *queue.Failure {
	if _, ok := m.(*queue.Finish); ok {
		return &queue.Failure{Code: queue.CodeFull, Text: "disk full"}
	}
	return nil
}

func (q *testQube) setRefuse(f func(queue.Message) *queue.Failure) {
	q.change(func() { q.refuse = f })
}

// TestResultsOutliveAStop: what no qube took is neither lost nor called
// delivered when the daemon stops, and the next one sends the same bytes.
func TestResultsOutliveAStop(t *testing.T) {
	t.Parallel()
	for name, gone := range map[string]bool{"it cannot write": false, "it is gone": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newTestQube(t)
			w := newWorld(t, q)
			var offered [][]byte
			q.setRefuse(func(m queue.Message) *queue.Failure {
				if f, ok := m.(*queue.Finish); ok {
					q.change(func() { offered = append(offered, bytes.Clone(f.Auth)) })
				}
				return noFinish(m)
			})
			stop := w.start()
			h := q.submit("a", "echo hello\n")
			q.until("the result was offered", func() bool { return len(offered) > 1 })
			if gone {
				q.halt()
				w.eventually("the daemon sees that it is gone", func() bool { return strings.Contains(w.said.String(), "connection lost") })
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			if n := w.count(audit.Delivered, "a"); n != 0 {
				t.Fatal("recorded as delivered")
			}
			if gone {
				return
			}
			q.setRefuse(nil)
			w.start()
			if r := q.result("a", h); r.State != queue.StateExit {
				t.Errorf("%+v", r)
			}
			q.mu.Lock()
			defer q.mu.Unlock()
			for _, o := range append(offered, q.finishes["a"][0].Auth) {
				if !bytes.Equal(o, offered[0]) {
					t.Errorf("two answers to one id:\n%s\n%s", offered[0], o)
				}
			}
			if string(q.out["a.out"]) != "hello\n" {
				t.Errorf("output %q", q.out["a.out"])
			}
		})
	}
}

func TestAnUndeliveredResultIsGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Times.GiveUp = 1
	q.setRefuse(noFinish)
	w.start()
	q.submit("a", "true\n")
	w.eventually("it is given up and its spool empty", func() bool { return w.count(audit.Delivered, "a") == 1 && w.spooled() == 0 })
	for _, r := range w.records() {
		if r.Event == audit.Delivered && !strings.Contains(r.Detail, "given up") {
			t.Errorf("recorded as %+v", r)
		}
	}
}

func TestAResultComesOverTheNextConnection(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	h := q.submit("a", "echo one; read -r -t 1 <> <(:); echo two\n")
	q.until("it runs", func() bool { return q.running["a"] == queue.WordRunning })
	q.hangUp()
	if r := q.result("a", h); r.State != queue.StateExit || r.Out != queue.SumOf([]byte("one\ntwo\n")) {
		t.Errorf("%+v", r)
	}
	if n := w.count(audit.Run, "a"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if string(q.out["a.out"]) != "one\ntwo\n" {
		t.Errorf("output %q", q.out["a.out"])
	}
}

// TestWhatAStopInterruptsIsToldAtOnce: the connection lives until the last
// results are over it.
func TestWhatAStopInterruptsIsToldAtOnce(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	stop := w.start()
	h := q.submit("a", "echo begun; sleep 1000\n")
	q.until("it has output", func() bool { return len(q.out["a.out"]) > 0 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if r := q.result("a", h); r.State != queue.StateInterrupted || r.Exit != queue.ExitInterrupted || r.Started == 0 {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Delivered, "a") != 1 || w.count(audit.Stopped, "") != 1 {
		t.Error("the stop is not recorded after the delivery")
	}
}

// TestAQubeMustTakeResults: one that takes none cannot fill dom0 with answers.
func TestAQubeMustTakeResults(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_MAX_PENDING=2")
	q.setRefuse(noFinish)
	w.start()
	for _, id := range strings.Fields("a b c d e f g h i j") {
		h := q.header(id, "", func(r *queue.Request) { r.Kind = queue.KindPing })
		q.put(id, h, "")
	}
	w.eventually("four are taken", func() bool { return w.count(audit.Final, "") == 4 })
	looks := func() int { q.mu.Lock(); defer q.mu.Unlock(); return q.asked[queue.FrameWait] }
	for range 2 { // the second question shows that the first one's answer was dealt with
		before := looks()
		q.change(func() { q.number++ })
		q.until("dom0 looked again", func() bool { return q.asked[queue.FrameWait] > before })
	}
	if n := w.count(audit.Claim, ""); n != 4 {
		t.Errorf("%d requests were taken", n)
	}
	q.setRefuse(nil)
	w.eventually("all are answered", func() bool {
		q.change(func() { q.number++ })
		return w.count(audit.Delivered, "") == 10
	})
}

// TestARestoreWhileTheDeliveryIsRecorded: a queue that is put back as it was
// right after the answer came is refused by a denial that its client believes,
// also if dom0 looked before it had recorded the delivery.
func TestARestoreWhileTheDeliveryIsRecorded(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	w.eventually("the log is there", func() bool { return w.count(audit.Started, "") == 1 })
	lock, err := os.Open(filepath.Join(string(w.o.Root.Audit()), "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	q.setRefuse(func(m queue.Message) *queue.Failure {
		if _, ok := m.(*queue.Finish); ok {
			if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
				t.Error(err)
			}
		}
		return nil
	})
	h := q.submit("a", "true\n")
	q.until("it is answered", func() bool { return len(q.finishes["a"]) > 0 })
	asked := 0
	q.change(func() { asked = q.asked[queue.FrameWait] })
	q.put("a", h, "true\n")
	q.until("dom0 looked twice", func() bool { return q.asked[queue.FrameWait] > asked+1 || len(q.denies["a"]) > 0 })
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if r := q.denial("a", h); r.Reason != queue.Replayed {
		t.Errorf("%+v", r)
	}
	if n := w.count(audit.Run, "a"); n != 1 {
		t.Errorf("it ran %d times", n)
	}
}
