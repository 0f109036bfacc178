package run

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// lingering starts children of every kind that does not go away by itself.
const lingering = `sleep 1000 &
trap '' TERM HUP INT
setsid sleep 1001 >/dev/null 2>&1 &
nohup sleep 1002 >/dev/null 2>&1 &
(setsid sh -c 'sleep 1003 & sleep 1004 & wait' &) &
sh -c 'sh -c "sh -c \"sleep 1005; :\" & :" & :'
(kill -STOP $BASHPID) &
`

func TestBackgroundDoesNotHoldTheResult(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		got := runScript(t, r, "sleep 1000 & echo out; exit 0")
		mustExit(t, got, 0)
		if got.out != "out\n" {
			t.Errorf("got %v", got)
		}
		got = runScript(t, r, lingering+"echo out; echo err >&2; exit 3")
		mustExit(t, got, 3)
		if got.out != "out\n" || got.err != "err\n" {
			t.Errorf("got %v", got)
		}
	})
}

// TestOnesThatForkOn: processes that have forked and gone before anyone has
// their number.
func TestOnesThatForkOn(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		ready := filepath.Join(t.TempDir(), "ready")
		got := runScript(t, r, `for i in 1 2 3; do
			READY='`+ready+`'$i setsid bash -c 'h() { : > $READY; h & }; h' &
		done
		until [ -e '`+ready+`1' -a -e '`+ready+`2' -a -e '`+ready+`3' ]; do :; done`)
		mustExit(t, got, 0)
	})
}

func TestKillsItsProcessGroup(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		mustExit(t, runScript(t, r, "kill -9 0; sleep 1000"), 137)
		mustExit(t, runScript(t, r, "trap '' TERM; kill 0; kill -TERM -$$; exit 4"), 4)
	})
}

func TestTimeout(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, lingering+"echo partial; echo so far >&2; sleep 1000")
		c.Timeout = time.Second
		got := runCommand(t, t.Context(), r, c)
		if got.State != Timeout || got.Exit != 124 || got.Err != nil || !got.Began || got.Duration < c.Timeout {
			t.Errorf("got %v", got)
		}
		if got.out != "partial\n" || got.err != "so far\n" {
			t.Errorf("got %v", got)
		}
	})
}

func TestStopped(t *testing.T) {
	cases := []struct {
		name  string
		cause error
		state State
		exit  int
	}{
		{"by the qube", ErrCancelled, Cancelled, 130},
		{"with the daemon", nil, Interrupted, 125},
		{"for another reason", errors.New("shutting down"), Interrupted, 125},
	}
	bothWays(t, func(t *testing.T, r *Runner) {
		for _, c := range cases {
			ctx, cancel := context.WithCancelCause(t.Context())
			cmd := command(t, lingering+"echo partial; sleep 1000")
			said := newNotify()
			cmd.Out = said
			go func() {
				<-said.some
				cancel(c.cause)
			}()
			got := runCommand(t, ctx, r, cmd)
			cancel(nil)
			if got.State != c.state || got.Exit != c.exit || got.Err != nil || !got.Began || said.String() != "partial\n" {
				t.Errorf("%s: got %v, out %q", c.name, got, said)
			}

			// A second time, with a context that has ended already.
			got = runCommand(t, ctx, r, command(t, "echo began"))
			if got.State != c.state || got.Exit != c.exit || got.Began || got.out != "" || got.Err == nil {
				t.Errorf("%s, before the start: got %v", c.name, got)
			}
		}
	})
}

func TestBeforeStart(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		mark := filepath.Join(t.TempDir(), "mark")
		c := command(t, "echo ran; touch '"+mark+"'")
		calls := ""
		c.BeforeStart = func() error { calls += "before "; return nil }
		c.Started = func() { calls += "started " }
		mustExit(t, runCommand(t, t.Context(), r, c), 0)
		if calls != "before started " {
			t.Errorf("calls: %q", calls)
		}
		_ = os.Remove(mark)
		expired := errors.New("expired")
		c.BeforeStart = func() error { return expired }
		got := runCommand(t, t.Context(), r, c)
		if got.State != Interrupted || got.Began || !errors.Is(got.Err, expired) || calls != "before started " {
			t.Errorf("got %v, calls %q", got, calls)
		}
		if _, err := os.Stat(mark); err == nil {
			t.Error("the command ran")
		}
	})
}

func TestBadCommand(t *testing.T) {
	t.Parallel()
	r := newRunner(t, false)
	bad := map[string]func(c *Command){
		"timeout":      func(c *Command) { c.Timeout = 0 },
		"script":       func(c *Command) { c.Script += "-missing" },
		"script is":    func(c *Command) { c.Script = spool(t, strings.Repeat("#\n", maxScript/2+1)) },
		"supervisor":   func(c *Command) { c.Qube = "a\x00b" },
		"a directory":  func(c *Command) { c.Script = r.Dir },
		"no such file": func(c *Command) { c.Stdin = "/nonexistent" },
	}
	for name, change := range bad {
		c := command(t, "true")
		change(&c)
		got := runCommand(t, t.Context(), r, c)
		if got.State != Interrupted || got.Exit != 125 || got.Began || got.Err == nil || !strings.Contains(got.Err.Error(), name) {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if left := leftovers(t, r); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
	r.Dir += "-missing"
	if got := runScript(t, r, "true"); got.Began || got.State != Interrupted || got.Err == nil {
		t.Errorf("without run folder: %v", got)
	}
}
