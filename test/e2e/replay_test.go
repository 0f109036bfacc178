package e2e

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// count is a script that counts in dom0 how often it ran.
const count = "echo ran >> counted\n"

// counted is how often it did.
func (h *house) counted() int {
	b, _ := os.ReadFile(h.marker("counted"))
	return strings.Count(string(b), "ran\n")
}

// ranOnce puts a counting request and waits until the qube has its answer.
func (q *qube) ranOnce() *submission {
	q.t.Helper()
	s := q.put(q.craft(count))
	await(q.t, "the delivery", func() bool { return q.h.about(s.ID, audit.Delivered) == 1 })
	return s
}

// still fails the test unless the same request, put back, is removed, named in
// log and audit trail, and not run; and unless its answer is what it was.
func (q *qube) still(s *submission, ran int) {
	q.t.Helper()
	before := q.answered(s.ID)
	last := int64(-1) // records may also be pruned meanwhile
	for _, r := range q.h.records() {
		last = r.Seq
	}
	q.again(s)
	q.taken(s.ID)
	await(q.t, "an audit record of the copy", func() bool {
		for _, r := range q.h.records() {
			if r.Seq > last && r.ID == s.ID && (r.Event == audit.Replayed || r.Event == audit.Refused) {
				return strings.Contains(q.h.log(), "id="+s.ID+" event=")
			}
		}
		return false
	})
	if n := q.h.counted(); n != ran {
		q.t.Errorf("ran %d times, want %d", n, ran)
	}
	if after := q.answered(s.ID); after != before {
		q.t.Errorf("the answer was %+v and is %+v", before, after)
	}
}

func TestReplays(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	d := h.quick()
	q := h.of("work")
	s := q.ranOnce()
	q.still(s, 1)
	q.still(s, 1)
	// while the first runs
	slow := q.put(q.craft(hold("release") + "; " + count))
	h.held("release")
	q.taken(slow.ID)
	q.again(slow)
	q.taken(slow.ID)
	q.logged(slow.ID, queue.Replayed)
	write(t, h.marker("release"), "")
	if r := q.answered(slow.ID); r.code != 0 || r.out != "before\nafter\n" {
		t.Errorf("the first: %+v", r)
	}
	q.still(slow, 2)
	// after a restart, clean and not
	d.stop()
	d = h.quick()
	q.still(s, 2)
	d.kill()
	h.quick()
	q.still(s, 2)
	q.still(slow, 2)
	h.of("other").works()
	h.verified()
}

// TestQueueFolderIsRestored: the qube's user, or a snapshot, puts the whole
// folder back as it was before dom0 looked, history and all.
func TestQueueFolderIsRestored(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	q := h.of("work")
	s := q.put(q.craft(count))
	saved := h.World.Dir + "/saved"
	copyTree(t, q.layout.Root, saved)
	d := h.quick()
	await(t, "the delivery", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	d.stop()
	must(t, os.RemoveAll(q.layout.Root))
	copyTree(t, saved, q.layout.Root)
	h.quick()
	q.refused(s.ID, queue.Replayed)
	if r := q.answered(s.ID); r.code != queue.ExitDenied || !strings.Contains(r.err, "denied(replayed)") {
		t.Errorf("the client says %+v", r)
	}
	if h.counted() != 1 {
		t.Errorf("ran %d times", h.counted())
	}
	q.works()
	h.of("other").works()
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if out, err := exec.Command("cp", "-a", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v %s", err, out)
	}
}

// TestClockJumps: dom0's clock goes forth for so long that claims are
// forgotten, and back.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	d := h.quick()
	q := h.of("work")
	s := q.ranOnce()
	long := q.craft(count)
	long.Expires = long.Issued + 86400
	q.put(long.sign())
	await(t, "the second delivery", func() bool { return h.about(long.ID, audit.Delivered) == 1 })
	for _, jump := range []time.Duration{26 * time.Hour, 0, -26 * time.Hour, 0, 401 * 24 * time.Hour, 0} {
		h.off(jump) // the daemon tidies up many times before the next line is through
		q.still(s, 2)
		q.still(long, 2)
	}
	d.stop()
	h.off(26 * time.Hour)
	d = h.quick()
	q.still(s, 2)
	d.stop()
	h.off(0)
	h.quick()
	q.still(s, 2)
	q.still(long, 2)
	h.of("other").works()
	h.verified()
}

// TestPutBackAfterMidnight: the log's day changes between the answer and the
// restart.
func TestPutBackAfterMidnight(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	now := time.Now().UTC()
	midnight := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
	h.off(midnight.Add(-30 * time.Second).Sub(now))
	d := h.quick()
	q := h.of("work")
	s := q.ranOnce()
	d.stop()
	h.off(midnight.Add(10 * time.Second).Sub(now))
	h.quick()
	q.still(s, 1)
	fresh := q.ranOnce()
	q.still(fresh, 2)
	segments := 0
	for _, e := range mustRead(t, string(h.root.Audit())) {
		if strings.HasSuffix(e.Name(), ".jsonl") {
			segments++
		}
	}
	if segments < 2 {
		t.Errorf("the day changed and there is %d segment", segments)
	}
	h.verified()
}

func mustRead(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	return entries
}

// TestSameKeyAgainRevivesNothing: a key that was revoked and authorised again
// lets no older request run.
func TestSameKeyAgainRevivesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	d := h.quick()
	q := h.of("work")
	s := q.ranOnce()
	q.revoke()
	unrun := q.put(q.craft(count))
	q.refused(unrun.ID, queue.NoKey)
	q.authorise()
	q.still(s, 1)
	d.stop()
	h.quick()
	q.still(s, 1)
	q.works()
	h.of("other").works()
	h.verified()
}

// TestLostLog: without its log dom0 knows nothing of what ran; what was issued
// until then is refused.
func TestLostLog(t *testing.T) {
	t.Parallel()
	h := newHouse(t, "work", "other")
	d := h.quick()
	q := h.of("work")
	s := q.ranOnce()
	d.stop()
	must(t, os.RemoveAll(h.root.Audit()))
	h.quick()
	must(t, os.RemoveAll(q.layout.HistoryOf(time.Now(), s.ID)))
	for _, ending := range []string{queue.Exit, queue.Auth, queue.Meta, queue.Out, queue.Err} {
		_ = os.Remove(q.layout.Result(s.ID, ending)) // the client may have taken them
	}
	q.put(s)
	q.refused(s.ID, queue.Stale)
	if h.counted() != 1 {
		t.Errorf("ran %d times", h.counted())
	}
	h.off(2 * time.Minute) // the floor is passed
	q.t = t
	fresh := q.put(q.craft(count))
	await(t, "a fresh request to run", func() bool { return h.counted() == 2 && h.about(fresh.ID, audit.Final) == 1 })
}
