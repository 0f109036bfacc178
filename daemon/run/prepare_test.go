package run

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"
)

func prepare(t *testing.T, r *Runner, c Command) *Prepared {
	t.Helper()
	p, err := r.Prepare(c.Qube, c.ID, c.Timeout)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPreparedRuns(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "echo $QVM_REMOTE_QUBE; exit 4")
		c.Prepared = prepare(t, r, c)
		got := runCommand(t, context.Background(), r, c)
		mustExit(t, got, 4)
		if got.out != c.Qube+"\n" {
			t.Errorf("got %v", got)
		}
		if err := c.Prepared.Discard(); err != nil {
			t.Errorf("discarding what was used: %v", err)
		}
	})
}

// A supervisor must never run another command than the one it was made for:
// its environment names the request.
func TestPreparedForAnother(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "echo $QVM_REMOTE_ID")
		other := c
		other.ID = c.ID + "-other"
		c.Prepared = prepare(t, r, other)
		got := runCommand(t, context.Background(), r, c)
		mustExit(t, got, 0)
		if got.out != c.ID+"\n" {
			t.Errorf("got %v", got)
		}
		if err := c.Prepared.Discard(); err != nil {
			t.Error(err)
		}
	})
}

func TestDiscardedLeavesNothing(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "true")
		p := prepare(t, r, c)
		process := fmt.Sprintf("/proc/%d", p.job.cmd.Process.Pid)
		for range 2 {
			if err := p.Discard(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := os.Stat(process); err == nil {
			t.Error("the supervisor is still there")
		}
		if left := leftovers(t, r); len(left) > 0 {
			t.Errorf("left: %v", left)
		}
		var none *Prepared
		if err := none.Discard(); err != nil {
			t.Error(err)
		}
	})
}

func TestPrepareFails(t *testing.T) {
	r := newRunner(t, false)
	r.Path = t.TempDir()
	if _, err := r.Prepare("work", "id", time.Second); err == nil {
		t.Error("prepared a command without bash")
	}
}
