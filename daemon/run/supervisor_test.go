package run

import (
	"context"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestSupervisorIsKilled by the command, which is root's: bash dies with it,
// and nobody takes the command for finished.
func TestSupervisorIsKilled(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "kill -9 $PPID; exec sleep 1000")
		o := r.Run(t.Context(), c)
		if o.State != Interrupted || o.Exit != 125 || !o.Began || o.Err == nil || !strings.Contains(o.Err.Error(), "without a report") {
			t.Errorf("got %+v", o)
		}
		eventually(t, "no process is left", func() bool { return len(processesOf(c.ID)) == 0 })
	})
}

// TestSupervisorIsAskedToStop by someone else.
func TestSupervisorIsAskedToStop(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		got := runScript(t, r, lingering+"kill -TERM $PPID; sleep 1000")
		if got.State != Interrupted || got.Exit != 125 || !got.Began || got.Err == nil || !strings.Contains(got.Err.Error(), "by a signal") {
			t.Errorf("got %v", got)
		}
	})
}

// TestSupervisorIsStuck: the command stopped it, so that the deadline and a
// cancellation are the daemon's to enforce.
func TestSupervisorIsStuck(t *testing.T) {
	script := lingering + "kill -STOP $PPID; echo ready; sleep 1000"
	bothWays(t, func(t *testing.T, r *Runner) {
		r.Grace = 200 * time.Millisecond
		c := command(t, script)
		c.Timeout = time.Second
		o := r.Run(t.Context(), c)
		for o.State == Timeout && o.Err == nil && c.Timeout < time.Minute {
			// The supervisor kept it: the command had not come to stopping it.
			timeout := 2 * c.Timeout
			c = command(t, script)
			c.Timeout = timeout
			o = r.Run(t.Context(), c)
		}
		if o.State != Timeout || o.Exit != 124 || !o.Began || o.Err == nil || !strings.Contains(o.Err.Error(), "deadline") {
			t.Errorf("got %+v", o)
		}
		eventually(t, "no process is left", func() bool { return len(processesOf(c.ID)) == 0 })

		c = command(t, script)
		said := newNotify()
		c.Out = said
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		go func() {
			<-said.some
			cancel(ErrCancelled)
		}()
		o = r.Run(ctx, c)
		if o.State != Cancelled || o.Exit != 130 || !o.Began || o.Err == nil || !strings.Contains(o.Err.Error(), "was killed") {
			t.Errorf("got %+v", o)
		}
		eventually(t, "no process is left", func() bool { return len(processesOf(c.ID)) == 0 })
	})
}

// TestOrphansAreReaped: a long command does not fill the system with zombies.
func TestOrphansAreReaped(t *testing.T) {
	t.Parallel()
	r := newRunner(t, false)
	got := runScript(t, r, `for i in {1..20}; do (true & echo $!); done >orphans
		for pid in $(<orphans); do
			for try in {1..2000}; do [ -e /proc/$pid ] || break; sleep 0.01; done
			[ -e /proc/$pid ] && echo $pid
		done; echo checked`)
	mustExit(t, got, 0)
	if got.out != "checked\n" {
		t.Errorf("zombies: %v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		results := make(chan result)
		for i := range 12 {
			script := "echo " + strings.Repeat("x", i) + "; exit " + string(rune('0'+i%10))
			go func() { results <- runCommand(t, t.Context(), r, command(t, script)) }()
		}
		for range 12 {
			got := <-results
			if got.State != Exit || (len(got.out)-1)%10 != got.Exit {
				t.Errorf("got %v", got)
			}
		}
	})
}

func TestMessages(t *testing.T) {
	for _, m := range []message{
		{kind: sayGo}, {kind: sayBegan}, {kind: sayTimeout}, {kind: sayStopped},
		{kind: sayEnded}, {kind: sayEnded, status: 7 << 8}, {kind: sayEnded, status: 9},
		{kind: sayFailed, text: "no bash"},
	} {
		if got, err := parseMessage(m.encode()); err != nil || got != m {
			t.Errorf("%+v became %+v, %v", m, got, err)
		}
	}
	long := message{kind: sayFailed, text: strings.Repeat("x", 2*maxMessage)}
	if got, err := parseMessage(long.encode()); err != nil || len(got.text) != maxMessage-1 {
		t.Errorf("a long reason became %d bytes, %v", len(got.text), err)
	}
}

func FuzzMessage(f *testing.F) {
	for _, s := range []string{"", "g", "b", "bx", "t", "s", "f", "fwhy", "x", "x\x00\x00\x07\x00", "x\x00\x00\x00\x7f", "x\x00\x00\x00\x09", "?"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		if m.kind == sayEnded {
			if code := exitCode(m.status); code < 0 || code > 255 {
				t.Errorf("%q: exit code %d", b, code)
			}
			return
		}
		if again := m.encode(); string(again) != string(b) {
			t.Errorf("%q became %q", b, again)
		}
	})
}

func TestExitCode(t *testing.T) {
	for status, want := range map[unix.WaitStatus]int{0: 0, 3 << 8: 3, 255 << 8: 255, 9: 137, 15: 143, 11 | 0x80: 139} {
		if got := exitCode(status); got != want {
			t.Errorf("%#x: got %d, want %d", uint32(status), got, want)
		}
	}
}
