package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// TestAnAnswerOfARevokedQubeIsNotForItsNamesake: with the key the uuid that was
// authorised is gone, the one that asked is still in the claim.
func TestAnAnswerOfARevokedQubeIsNotForItsNamesake(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	q.setRefuse(noFinish)
	stop := w.start()
	h := q.submit("a", "echo secret\n")
	w.eventually("it ran", func() bool { return w.count(audit.Final, "a") == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(w.o.Root.Keys(), q.name)
	for _, ending := range []string{".key", ".meta"} {
		if err := os.Remove(key + ending); err != nil {
			t.Fatal(err)
		}
	}
	anew := anewFile(q.name)
	if err := os.WriteFile(anew, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	q.change(func() { clear(q.out) })
	q.setRefuse(nil)
	stop = w.start()
	q.submit("b", "true\n")
	q.until("the namesake is denied", func() bool { return len(q.denies["b"]) > 0 })
	q.mu.Lock()
	if len(q.finishes) > 0 || len(q.out) > 0 {
		t.Errorf("the namesake was told %v, output %q", q.finishes, q.out)
	}
	q.mu.Unlock()
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(anew); err != nil { // it was the same qube after all
		t.Fatal(err)
	}
	w.start()
	if r := q.result("a", h); r.State != queue.StateExit {
		t.Errorf("%+v", r)
	}
}
