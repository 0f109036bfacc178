package daemon

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"qvmremote/daemon/audit"
)

// TestAStuckCopyHoldsUpNothing: neither who records nor the daemon's end; and
// what is missing from the copy is told.
func TestAStuckCopyHoldsUpNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var mu sync.Mutex
	var said []string
	c := newCopies(func(audit.Record) error { <-release; return nil }, func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			said = append(said, err.Error())
		}
	})
	for i := range maxCopies + 10 { // one of them is being written
		c.add(audit.Record{Seq: int64(i)})
	}
	mu.Lock()
	if len(said) != 1 || said[0] != errBehind.Error() {
		t.Errorf("told: %q", said)
	}
	mu.Unlock()
	c.close() // comes back although nothing is taken
	c.add(audit.Record{})
	close(release)
	<-c.ended
	if len(said) != 2 || !strings.Contains(said[1], "records are missing") {
		t.Errorf("told: %q", said)
	}
}

// TestCopiesAreWhole: what was taken before the end is in the copy, in order.
func TestCopiesAreWhole(t *testing.T) {
	t.Parallel()
	var got []int64
	broken := errors.New("broken")
	var warned int
	c := newCopies(func(r audit.Record) error {
		got = append(got, r.Seq)
		if r.Seq == 3 {
			return broken
		}
		return nil
	}, func(err error) {
		if errors.Is(err, broken) {
			warned++
		}
	})
	for i := range 100 {
		c.add(audit.Record{Seq: int64(i)})
	}
	c.close()
	c.close()
	for i, seq := range got {
		if seq != int64(i) {
			t.Fatalf("copy %d is record %d", i, seq)
		}
	}
	if len(got) != 100 || warned != 1 {
		t.Errorf("%d copies, %d warnings", len(got), warned)
	}
}
