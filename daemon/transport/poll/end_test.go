package poll

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

func TestEndOfTheWay(t *testing.T) {
	t.Parallel()
	t.Run("looks fail", func(t *testing.T) {
		t.Parallel()
		q := newQube(t)
		c := q.dial()
		q.answers("echo oops; echo no such qube >&2")
		n, err := c.Wait(t.Context(), 1, time.Minute)
		if !errors.Is(err, transport.ErrNoAgent) || !strings.Contains(err.Error(), "no such qube") || c.Err() == nil {
			t.Errorf("%v, %v", n, err)
		}
		if got := q.calls(); got != 1+maxFailures {
			t.Errorf("after %d calls", got)
		}
	})
	t.Run("the qube halts", func(t *testing.T) {
		t.Parallel()
		q := newQube(t)
		halted := false
		q.d.Running = func(context.Context, string) error {
			if halted {
				return fmt.Errorf("%w: Halted", ErrNotRunning)
			}
			return nil
		}
		c := q.dial()
		halted = true
		before := q.calls()
		if _, err := c.Wait(t.Context(), 1, time.Minute); !errors.Is(err, ErrNotRunning) || q.calls() != before {
			t.Errorf("%v, after %d calls", err, q.calls()-before)
		}
	})
	t.Run("its state could not be asked for once", func(t *testing.T) {
		t.Parallel()
		q := newQube(t)
		unknown := false
		q.d.Running = func(context.Context, string) error {
			if unknown {
				unknown = false
				return errors.New("qvm-ls failed")
			}
			return nil
		}
		c := q.dial()
		unknown = true
		q.request("late", "header", "echo\n")
		if n, err := c.Wait(t.Context(), 1, time.Minute); err != nil || !slices.Contains(n.IDs, "late") {
			t.Errorf("%v, %v", n, err)
		}
	})
	t.Run("closed", func(t *testing.T) {
		t.Parallel()
		q := newQube(t)
		c := q.dial()
		q.answers("exec sleep 1000")
		over := make(chan error, 1)
		go func() { _, err := c.Wait(t.Context(), 1, time.Minute); over <- err }()
		for q.calls() < 2 {
			time.Sleep(time.Millisecond)
		}
		c.Close()
		if err := <-over; !errors.Is(err, errClosed) {
			t.Error(err)
		}
		if err := c.Deny(t.Context(), &queue.Deny{ID: "a"}); err == nil {
			t.Error("a closed way takes a refusal")
		}
	})
}
