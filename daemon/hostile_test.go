package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"qvmremote/daemon/audit"
)

// supervisors is how many run folders there are: one for each supervisor.
func (w *world) supervisors() (n int) {
	entries, _ := os.ReadDir(w.o.Root.Run())
	for _, e := range entries {
		if e.IsDir() {
			n++
		}
	}
	return n
}

// TestOneSupervisorWaitsForAQube: one that keeps its scripts back does not fill
// dom0 with processes that wait for them, and neither do its requests that are
// refused because too many are open.
func TestOneSupervisorWaitsForAQube(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_MAX_PENDING=6")
	q.trickle = true
	w.start()
	script := strings.Repeat("# long\n", 100_000)
	for i := range 10 {
		q.submit(fmt.Sprint("a", i), script)
	}
	w.eventually("all of them are taken", func() bool { return w.count(audit.Claim, "") == 10 })
	if n := w.supervisors(); n > 1 {
		t.Errorf("%d supervisors wait", n)
	}
	q.change(func() { q.trickle = false })
	w.eventually("all of them are answered", func() bool { return w.count(audit.Delivered, "") == 10 })
	w.eventually("no supervisor is left", func() bool { return w.supervisors() == 0 })
}
