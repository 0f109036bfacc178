package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// blocked submits a command that runs until the returned function is called.
func (q *testQube) blocked(id string) (release func()) {
	q.t.Helper()
	gate := filepath.Join(q.t.TempDir(), "gate")
	q.submit(id, "echo begun; until [ -e "+gate+" ]; do sleep 0.02; done\n")
	q.until(id+" runs", func() bool { return len(q.out[id+".out"]) > 0 })
	return func() { must(q.t, os.WriteFile(gate, nil, 0o600)) }
}

func TestWhatWaitsTooLongExpires(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_PER_QUBE=1")
	w.start()
	release := q.blocked("a")
	defer release()
	h := q.header("b", "true\n", func(r *queue.Request) { r.Expires = r.Issued + 1 })
	q.put("b", h, "true\n")
	if r := q.result("b", h); r.State != queue.StateDenied || r.Reason != queue.Expired {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Run, "b") != 0 {
		t.Error("it ran")
	}
}

// TestAQubeThatCameBackAsItWasIsToldAgain: its queue is from before the claim,
// the command still runs here. It runs once, and no refusal hides its answer.
func TestAQubeThatCameBackAsItWasIsToldAgain(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	release := q.blocked("a")
	var h []byte
	for _, r := range w.records() {
		if r.Event == audit.Claim {
			h = []byte(r.Request)
		}
	}
	q.hangUp()
	q.change(func() {
		delete(q.running, "a")
		q.headers["a"], q.bodies["a"] = h, []byte("anything")
		q.number++
	})
	q.until("it is shown as running again", func() bool { return q.running["a"] == queue.WordRunning && len(q.headers) == 0 })
	release()
	q.until("its answer is there", func() bool { return len(q.finishes["a"]) == 1 })
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.denies["a"]) != 0 || w.count(audit.Run, "a") != 1 {
		t.Errorf("%d refusals, %d runs", len(q.denies["a"]), w.count(audit.Run, "a"))
	}
}

// TestANewKeyCountsFromItsFirstUse: until then the old one does, never both
// after it.
func TestANewKeyCountsFromItsFirstUse(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	q.result("a", q.submit("a", "true\n"))
	store, err := keys.Open(w.o.Root.Keys())
	must(t, err)
	old, next := q.key, queue.GenerateKey()
	// As an administrator's program does it: the record, then the key.
	p := w.past()
	p.add(audit.Record{Event: audit.Rotating, Qube: q.name, Key: next.Fingerprint(), Floor: time.Now().Unix() - 60})
	must(t, errors.Join(p.log.Close(), store.PutNext(q.name, next)))
	q.result("b", q.submit("b", "true\n"))
	if w.count(audit.Rotated, "") != 0 {
		t.Error("rotated without a use of the new key")
	}
	q.key = next
	q.result("c", q.submit("c", "true\n"))
	if w.count(audit.Rotated, "") != 1 {
		t.Error("its first use is not recorded")
	}
	q.key = old
	h := q.submit("d", "true\n")
	q.key = next // refusals are signed with the key that counts
	if r := q.denial("d", h); r.Reason != queue.BadMAC {
		t.Errorf("%+v", r)
	}
}

// TestNoClockRunsARequestTwice: not one that jumps ahead so far that the claim
// is forgotten, and not one that comes back.
func TestNoClockRunsARequestTwice(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Times.Skip = 1
	stop := w.start()
	h := q.submit("a", "true\n")
	q.result("a", h)
	must(t, stop())
	for _, ahead := range []time.Duration{72 * time.Hour, 0, -72 * time.Hour, 0} {
		w.o.Now = func() time.Time { return time.Now().Add(ahead) }
		w.o.Times.Tidy = 10 * time.Millisecond
		stop := w.start()
		q.change(func() { delete(q.denies, "a") })
		q.put("a", h, "true\n")
		if r := q.denial("a", h); r.Reason != queue.Replayed && r.Reason != queue.Stale {
			t.Errorf("%v ahead: %+v", ahead, r)
		}
		must(t, stop())
	}
	if w.count(audit.Claim, "a") != 1 || w.count(audit.Run, "a") != 1 {
		t.Error("it ran twice")
	}
}

// TestOutputBeyondTheSpoolIsLost: not the command, and what is signed is what
// was kept.
func TestOutputBeyondTheSpoolIsLost(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_SPOOL_QUBE=1M")
	w.start()
	h := q.submit("a", "head -c 3000000 /dev/zero; exit 5\n")
	r := q.result("a", h)
	if r.State != queue.StateExit || r.Exit != 5 || r.Out.Size == 0 || r.Out.Size > 1<<20 {
		t.Errorf("%+v", r)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if queue.SumOf(q.out["a.out"]) != r.Out {
		t.Errorf("%d bytes were delivered, %s is signed", len(q.out["a.out"]), r.Out)
	}
}

// TestFloorsAreRaisedBeforeAKeyCounts: a start that could not raise them after
// a loss does so before it takes a request.
func TestFloorsAreRaisedBeforeAKeyCounts(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	stop := w.start()
	q.result("a", q.submit("a", "true\n"))
	key := filepath.Join(w.o.Root.Keys(), q.name+".key")
	// The head is gone, and the key cannot be read while the daemon starts.
	must(t, errors.Join(stop(), os.Remove(filepath.Join(w.o.Root.Audit(), "head")), os.Chmod(key, 0o644)))
	w.start()
	q.submit("b", "true\n")
	q.until("it is refused while its key cannot be read", func() bool { return len(q.denies["b"]) == 1 })
	must(t, os.Chmod(key, 0o600))
	h := q.submit("c", "true\n")
	if r := q.denial("c", h); r.Reason != queue.Stale {
		t.Errorf("%+v", r)
	}
}
