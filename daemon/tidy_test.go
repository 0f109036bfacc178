package daemon

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/queue"
)

// TestTheQubeThatFillsTheLogIsDenied: its records cannot push out those of
// others, and others go on.
func TestTheQubeThatFillsTheLogIsDenied(t *testing.T) {
	t.Parallel()
	loud, other := newTestQube(t), newTestQube(t)
	w := newWorld(t, loud, other)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_AUDIT_BYTES=16M")
	w.fillLog(loud.name, 17<<20)
	w.start()
	h := loud.submit("a", "true\n")
	if r := loud.denial("a", h); r.Reason != queue.Limit {
		t.Errorf("the loud qube: %+v", r)
	}
	if n := w.count(audit.Claim, "a"); n != 0 {
		t.Errorf("%d claims of it", n)
	}
	if r := other.result("b", other.submit("b", "true\n")); r.State != queue.StateExit {
		t.Errorf("the other qube: %+v", r)
	}
	w.eventually("the status says so", func() bool {
		s, err := ReadStatus(w.o.Root.Status())
		return err == nil && strings.Contains(healthOf(s), "loudest")
	})
}

// fillLog writes records about a qube, before the daemon is started.
func (w *world) fillLog(name string, bytes int) {
	w.t.Helper()
	x := &Executor{o: w.o}
	if err := x.makeFolders(); err != nil {
		w.t.Fatal(err)
	}
	log, err := audit.Open(context.Background(), w.o.Root.Audit(), audit.Options{}, claim.NewBook())
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.Repeat("x", 50<<10)
	for i := 0; i < bytes; i += len(text) {
		_, err := log.Update(context.Background(), func(tx *audit.Tx) error {
			tx.Add(audit.Record{Event: audit.Refused, Qube: name, ID: fmt.Sprint("old", i), Detail: text})
			return nil
		})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		w.t.Fatal(err)
	}
}
