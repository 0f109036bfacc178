package daemon

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// TestWhatIsDeniedIsClaimed: a good MAC uses the id up, whatever else is wrong.
func TestWhatIsDeniedIsClaimed(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	const script = "echo ran\n"
	for id, c := range map[string]struct {
		edit   func(*queue.Request)
		body   string
		reason queue.Reason
	}{
		"expired":     {func(r *queue.Request) { r.Issued -= 20; r.Expires = r.Issued + 5 }, script, queue.Expired},
		"future":      {func(r *queue.Request) { r.Issued += 500; r.Expires += 500 }, script, queue.Future},
		"within":      {func(r *queue.Request) { r.Expires = r.Issued + 100_000 }, script, queue.Limit},
		"timeout":     {func(r *queue.Request) { r.Timeout = 90_000 }, script, queue.Limit},
		"wrong-qube":  {func(r *queue.Request) { r.Qube = "another" }, script, queue.WrongQube},
		"wrong-id":    {func(r *queue.Request) { r.ID = "other" }, script, queue.WrongID},
		"plan":        {func(r *queue.Request) { r.Kind = "plan" }, script, queue.Unsupported},
		"empty":       {func(r *queue.Request) { r.Body = queue.SumOf(nil) }, "", queue.Empty},
		"mismatch":    {nil, "echo RAN\n", queue.Mismatch},
		"longer":      {nil, script + "\n", queue.Mismatch},
		"binary":      {func(r *queue.Request) { r.Body = queue.SumOf([]byte("a\x00b")) }, "a\x00b", queue.Binary},
		"full ping":   {func(r *queue.Request) { r.Kind = queue.KindPing }, script, queue.Limit},
		"stdin wrong": {func(r *queue.Request) { r.Stdin = queue.SumOf([]byte("in")) }, script, queue.Unreadable},
	} {
		id = strings.ReplaceAll(id, " ", "-")
		h := q.header(id, script, c.edit)
		q.put(id, h, c.body)
		if r := q.result(id, h); r.State != queue.StateDenied || r.Reason != c.reason || r.Exit != queue.NoExit || r.Checkpoint == "" {
			t.Errorf("%s: %+v", id, r)
		}
		if w.count(audit.Claim, id) != 1 || w.count(audit.Run, id) != 0 {
			t.Errorf("%s: %d claims, %d runs", id, w.count(audit.Claim, id), w.count(audit.Run, id))
		}
	}
}

// TestNotAByteOfTheBodyBeforeTheClaim: also not of what is refused.
func TestNotAByteOfTheBodyBeforeTheClaim(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	h := q.header("a", "true\n", func(r *queue.Request) { r.Kind = "plan" })
	q.put("a", h, "true\n")
	q.result("a", h)
	bad := q.header("b", "true\n", nil)
	bad[len(bad)-2] ^= 1
	q.put("b", bad, "true\n")
	q.until("b is refused", func() bool { return len(q.denies["b"]) > 0 })
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range q.parts {
		if p.Part != queue.PartHeader {
			t.Errorf("dom0 read part %d of %s", p.Part, p.ID)
		}
	}
}

func TestAnAnsweredIDIsRefusedAsReplayed(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	h := q.submit("a", "true\n")
	q.result("a", h)
	w.eventually("its delivery is recorded", func() bool { return w.count(audit.Delivered, "a") == 1 })
	other := q.submit("a", "rm -rf /\n")
	if r := q.denial("a", other); r.Reason != queue.Replayed {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Claim, "a") != 1 || w.count(audit.Run, "a") != 1 {
		t.Error("it ran twice")
	}
}

func TestACopyOfWhatRunsIsRemovedAndLogged(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	h := q.submit("a", "echo begun; sleep 1000\n")
	q.until("it runs", func() bool { return len(q.out["a.out"]) > 0 })
	q.submit("a", "echo begun; sleep 1000\n")
	q.until("the copy is gone", func() bool { return len(q.headers) == 0 })
	w.eventually("the copy is logged", func() bool { return w.count(audit.Replayed, "a") == 1 })
	q.cancel("a", h, q.key)
	if r := q.result("a", h); r.State != queue.StateCancelled || r.Exit != queue.ExitCancelled {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Run, "a") != 1 {
		t.Error("it ran twice")
	}
}

// TestACopyIsNotOverlookedWhileDom0IsToldOfTheOriginal: its name comes after the
// agent removed the original, and before the daemon knows that it did.
func TestACopyIsNotOverlookedWhileDom0IsToldOfTheOriginal(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Times.Wait = queue.MaxWait
	var once sync.Once
	q.linger = func() {
		once.Do(func() {
			asked := 0
			q.change(func() { asked = q.asked[queue.FrameWait] })
			q.submit("a", "true\n")
			q.until("the daemon has seen the copy's name and asks anew", func() bool { return q.asked[queue.FrameWait] > asked })
		})
	}
	w.start()
	q.submit("a", "sleep 1000\n")
	w.eventually("the copy is logged", func() bool { return w.count(audit.Replayed, "a") == 1 })
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.headers) != 0 || q.overdue != 0 {
		t.Errorf("there are %d names, and it was known after %d minutes", len(q.headers), q.overdue)
	}
}

// TestForgeriesAreCountedNotKept: twenty records a minute, then one with the
// rest, at the latest when the daemon stops.
func TestForgeriesAreCountedNotKept(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	stop := w.start()
	forger := queue.GenerateKey()
	for i := range 25 {
		id := fmt.Sprint("f", i)
		r := queue.Request{Kind: queue.KindScript, ID: id, Qube: q.name, Issued: time.Now().Unix(), Expires: time.Now().Unix() + 60, Timeout: 1, Body: queue.SumOf([]byte("x"))}
		h := r.Sign(forger.RequestKey())
		q.put(id, h, "x")
		if r := q.denial(id, h); r.Reason != queue.BadMAC {
			t.Fatalf("%+v", r)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if n := w.count(audit.Refused, ""); n != 20 {
		t.Errorf("%d refusals are recorded singly", n)
	}
	var counted int64
	for _, r := range w.records() {
		if r.Event == audit.RefusedCount {
			counted += r.Count
		}
	}
	if counted != 5 || w.count(audit.RefusedCount, "") != 1 || w.count(audit.Claim, "") != 0 {
		t.Errorf("%d were counted, in %d records", counted, w.count(audit.RefusedCount, ""))
	}
}

func TestWithoutAKeyNothingRuns(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t)
	w.o.VMs = []string{q.name}
	w.start()
	q.submit("a", "true\n")
	q.until("a refusal", func() bool { return len(q.denies["a"]) > 0 })
	q.mu.Lock()
	defer q.mu.Unlock()
	if d := q.denies["a"][0]; len(d.Auth) != 0 || !strings.HasPrefix(string(d.Denied), "no-key\n") {
		t.Errorf("%q, signed %q", d.Denied, d.Auth)
	}
	if w.count(audit.Claim, "") != 0 {
		t.Error("it was claimed")
	}
}

// TestWhatCouldNotBeTakenNeverRunsLater: its client was told that it did not.
func TestWhatCouldNotBeTakenNeverRunsLater(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Times.Skip = 1
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_SPOOL_QUBE=1M")
	w.start()
	script := strings.Repeat("# to fill the spool\n", 52_000)
	h := q.submit("a", script)
	if r := q.denial("a", h); r.Reason != queue.NotReady {
		t.Fatalf("%+v", r)
	}
	q.put("a", h, script)
	q.until("it is refused again", func() bool { return len(q.denies["a"]) == 2 })
	q.mu.Lock()
	again := q.denies["a"][1].Auth
	q.mu.Unlock()
	if r := q.open("a", h, again); r.Reason != queue.Replayed {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Claim, "") != 0 || w.spooled() != 0 {
		t.Error("something was kept")
	}
}
