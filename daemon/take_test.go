package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

func TestACancelIsTheClaimOfWhatWasNotSeen(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	h := q.header("a", "true\n", nil)
	q.cancel("a", h, q.key)
	q.put("a", h, "true\n") // both are there at the first look
	w.start()
	if r := q.result("a", h); r.State != queue.StateCancelled || r.Exit != queue.ExitCancelled {
		t.Errorf("%+v", r)
	}
	q.until("the cancel is removed", func() bool { return len(q.cancels) == 0 })
	if w.count(audit.Run, "") != 0 {
		t.Error("it ran")
	}
}

func TestABadCancelIsRemovedAndChangesNothing(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	h := q.submit("a", "echo begun; sleep 1000\n")
	q.until("it runs", func() bool { return len(q.out["a.out"]) > 0 })
	removed := func() { q.until("the cancel is removed", func() bool { return len(q.cancels) == 0 }) }
	q.cancel("a", h, queue.GenerateKey())
	w.eventually("the forged one is recorded", func() bool { return w.count(audit.Dropped, "a") == 1 })
	removed()
	other := q.header("a", "echo other\n", nil)
	q.cancel("a", other, q.key)
	w.eventually("the one for another request is recorded", func() bool { return w.count(audit.Dropped, "a") == 2 })
	removed()
	q.change(func() { q.cancels["a"] = make([]byte, 2*queue.MaxHeader); q.number++ })
	w.eventually("the oversized one is recorded", func() bool { return w.count(audit.Dropped, "a") == 3 })
	removed()
	if n := w.count(audit.Final, "a"); n != 0 {
		t.Error("it was ended")
	}
	q.cancel("a", h, q.key)
	if r := q.result("a", h); r.State != queue.StateCancelled {
		t.Errorf("%+v", r)
	}
}

// TestARevokedKeyStopsWhatWaits: the key is looked at once more right before
// the shell would start.
func TestARevokedKeyStopsWhatWaits(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_PER_QUBE=1")
	w.start()
	gate := filepath.Join(t.TempDir(), "gate")
	q.submit("a", "echo begun; until [ -e "+gate+" ]; do sleep 0.02; done\n")
	q.until("the first one runs", func() bool { return len(q.out["a.out"]) > 0 })
	second := q.submit("b", "true\n")
	q.until("the second one waits", func() bool { return q.running["b"] == queue.WordQueued })
	if err := errors.Join(os.Remove(filepath.Join(w.o.Root.Keys(), q.name+".key")), os.WriteFile(gate, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if r := q.result("b", second); r.State != queue.StateDenied || r.Reason != queue.NoKey {
		t.Errorf("%+v", r)
	}
}

func TestStdinComesAsItIs(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	in := make([]byte, 3*queue.Chunk+17)
	for i := range in {
		in[i] = byte(i * 7)
	}
	h := q.header("a", "cat\n", func(r *queue.Request) { r.Stdin = queue.SumOf(in) })
	q.change(func() { q.stdins["a"] = in })
	q.put("a", h, "cat\n")
	if r := q.result("a", h); r.Out != queue.SumOf(in) {
		t.Errorf("%+v", r)
	}
}

func TestAPingIsAnsweredAndStartsNothing(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	h := q.header("ping-1-2", "", func(r *queue.Request) { r.Kind = queue.KindPing })
	q.put("ping-1-2", h, "")
	if r := q.result("ping-1-2", h); r.State != queue.StateExit || r.Exit != 0 {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Claim, "") != 1 || w.count(audit.Run, "") != 0 {
		t.Error("it is not recorded as a ping")
	}
}

func TestHasteIsSlowedDown(t *testing.T) {
	t.Parallel()
	var h haste
	now := time.Now()
	for i := range 100 {
		if slow := h.note(now.Add(time.Duration(i)*time.Millisecond), false); slow != (i >= maxHaste) {
			t.Fatalf("answer %d for nothing: slow is %v", i+1, slow)
		}
	}
	if h.note(now.Add(200*time.Millisecond), true) {
		t.Error("an answer that brought something is slowed down")
	}
	for i := range 60 {
		if h.note(now.Add(time.Duration(i+5)*60*time.Millisecond), false) {
			t.Fatal("a qube that answers 16 times a second is slowed down")
		}
	}
}

// TestARepeatedCancelIsNoWork: a qube that keeps a cancel for what was answered
// is asked no faster for it.
func TestARepeatedCancelIsNoWork(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	x, err := open(t.Context(), w.o)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	x.accepting, x.hard, x.lasting = t.Context(), t.Context(), t.Context()
	c := x.qubeOf(q.name)
	conn, err := x.dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.setConn(conn)
	h := q.header("a", "true\n", nil)
	q.stubborn = true
	q.cancel("a", h, q.key)
	for i := range 3 {
		useful, err := c.look(t.Context(), conn, queue.Names{Cancels: []string{"a"}}, int64(i))
		if err != nil || useful != (i == 0) {
			t.Errorf("look %d: useful %v, %v", i, useful, err)
		}
	}
	x.loops.Wait()
}

func TestRefusedNamesAreSkippedForAWhile(t *testing.T) {
	t.Parallel()
	q := newQube(&Executor{o: Options{Now: time.Now, Times: Times{Skip: time.Hour}}}, "work")
	for range 3 {
		q.skipFor("a")
	}
	if !q.skipped("a") || q.skipped("b") {
		t.Error("the wrong name is skipped")
	}
	q.x.o.Times.Skip = -time.Second
	q.skipFor("a")
	if q.skipped("a") {
		t.Error("it is skipped for ever")
	}
	for i := range 2 * maxSkipped {
		q.skipFor(string(rune('一' + i)))
	}
	if len(q.skip) > maxSkipped {
		t.Errorf("%d names are remembered", len(q.skip))
	}
}

// TestBurntHeadersNeverCount: when there are too many to remember, nothing
// issued before the latest of them does, and what is issued later still counts.
func TestBurntHeadersNeverCount(t *testing.T) {
	t.Parallel()
	q := newQube(&Executor{o: Options{Now: time.Now}}, "work")
	q.burn([]byte("a"), 7)
	if !q.isBurnt([]byte("a"), 7) || q.isBurnt([]byte("b"), 7) {
		t.Error("the wrong header is burnt")
	}
	for i := range 3 * maxBurnt {
		q.burn([]byte{byte(i), byte(i >> 8), 'x'}, int64(i))
		if len(q.burnt) > maxBurnt {
			t.Fatalf("%d are remembered", len(q.burnt))
		}
	}
	for i := range 3 * maxBurnt {
		if !q.isBurnt([]byte{byte(i), byte(i >> 8), 'x'}, int64(i)) {
			t.Fatalf("%d is accepted", i)
		}
	}
	if q.isBurnt([]byte("later"), 3*maxBurnt) {
		t.Error("nothing is accepted any more")
	}
}

func TestTally(t *testing.T) {
	t.Parallel()
	var c tally
	c.wait(time.Hour) // nothing is under way
	c.add()
	c.wait(time.Millisecond)
	c.add()
	c.done()
	go c.done()
	c.wait(time.Hour)
	c.add() // it may begin again
	c.done()
	c.wait(time.Hour)
}
