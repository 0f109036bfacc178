package run

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"
)

func TestLimit(t *testing.T) {
	note := func(n int) string { return fmt.Sprintf("\n[truncated at %d bytes]\n", n) }
	cases := []struct {
		name, script string
		max          int64
		out          string
		cut          bool
	}{
		{"below", "printf 1234567", 8, "1234567", false},
		{"exactly", "printf 12345678", 8, "12345678", false},
		{"one more", "printf 123456789", 8, "12345678" + note(8), true},
		{"in pieces", "for i in {1..9}; do printf $i; sleep 0.001; done", 8, "12345678" + note(8), true},
		{"much more", "head -c 3000000 /dev/zero | tr '\\0' x", 100000, strings.Repeat("x", 100000) + note(100000), true},
		{"the usual limit", "head -c 10485761 /dev/zero | tr '\\0' x", 0, strings.Repeat("x", 10485760) + note(10485760), true},
	}
	bothWays(t, func(t *testing.T, r *Runner) {
		r.Drain = 20 * time.Second // all of it is asked for, however busy the machine is
		for _, c := range cases {
			// The other stream has a limit of its own, and the command goes on.
			cmd := command(t, "("+c.script+"); ("+c.script+") >&2; exit 5")
			cmd.MaxOut, cmd.MaxErr = c.max, c.max
			got := runCommand(t, t.Context(), r, cmd)
			mustExit(t, got, 5)
			if got.out != c.out || got.err != c.out {
				t.Errorf("%s: got %v", c.name, got)
			}
			if n := int64(len(c.out)); got.OutBytes != n || got.ErrBytes != n || got.OutTruncated != c.cut || got.ErrTruncated != c.cut {
				t.Errorf("%s: got %+v", c.name, got.Outcome)
			}
		}
	})
}

// TestEndless: a command that writes for ever ends at its deadline.
func TestEndless(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "yes")
		c.Timeout, c.MaxOut = 300*time.Millisecond, 10
		got := runCommand(t, t.Context(), r, c)
		if got.State != Timeout || got.Exit != 124 || !got.OutTruncated || got.Err != nil {
			t.Errorf("got %v", got)
		}
	})
}

// stuck is a sink that takes nothing until it is released.
type stuck struct {
	release chan struct{}
	calls   int
}

func (s *stuck) Write(b []byte) (int, error) {
	s.calls++
	<-s.release
	return len(b), nil
}

// TestStuckSink: the command is held up by it, since its output is not kept
// anywhere else, and the deadline holds all the same.
func TestStuckSink(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		r.Drain = 50 * time.Millisecond
		sink := &stuck{release: make(chan struct{})}
		c := command(t, "echo start >&2; head -c 300000 /dev/zero; echo done >&2")
		c.Out, c.Timeout = sink, time.Second
		got := runCommand(t, t.Context(), r, c)
		if got.State != Timeout || got.err != "start\n" || got.OutBytes != 0 {
			t.Errorf("got %v", got)
		}
		if got.Err == nil || !strings.Contains(got.Err.Error(), "cannot store all of stdout") {
			t.Errorf("it is not said that output is missing: %v", got.Err)
		}
		close(sink.release)
	})
}

// TestStuckSinkIsNotCalledAgain looks at one stream alone.
func TestStuckSinkIsNotCalledAgain(t *testing.T) {
	t.Parallel()
	from, to := pipe(t)
	sink := &stuck{release: make(chan struct{})}
	o := newOutput("stdout", from, sink, 0)
	go o.pump()
	if _, err := io.WriteString(to, "first"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the sink is called", func() bool {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.writing
	})
	_, _ = io.WriteString(to, "second")
	o.drain(time.Now())
	close(sink.release)
	<-o.done
	if sink.calls != 1 || o.taken != 0 || o.err == nil {
		t.Errorf("called %d times, took %d: %v", sink.calls, o.taken, o.err)
	}
}

// TestHeldOpen: somebody who cannot be killed holds the stream open.
func TestHeldOpen(t *testing.T) {
	t.Parallel()
	from, to := pipe(t)
	var sink bytes.Buffer
	o := newOutput("stdout", from, &sink, 0)
	if _, err := io.WriteString(to, "said"); err != nil {
		t.Fatal(err)
	}
	go o.pump()
	o.drain(time.Now().Add(50 * time.Millisecond))
	<-o.done
	if sink.String() != "said" || o.taken != 4 || o.err != nil {
		t.Errorf("got %q, %d: %v", sink.String(), o.taken, o.err)
	}
}

type broken struct{ n int }

func (b broken) Write([]byte) (int, error) {
	if b.n < 0 {
		return 0, errors.New("disk full")
	}
	return b.n, nil
}

// TestBrokenSink: the command runs to its end, and what is missing is said.
func TestBrokenSink(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		c := command(t, "head -c 300000 /dev/zero; head -c 300000 /dev/zero >&2; exit 6")
		c.Out, c.Err = broken{-1}, broken{3}
		got := runCommand(t, t.Context(), r, c)
		if got.State != Exit || got.Exit != 6 || got.OutBytes != 0 || got.ErrBytes != 3 || got.Err == nil ||
			!strings.Contains(got.Err.Error(), "cannot store stdout: disk full") ||
			!errors.Is(got.Err, io.ErrShortWrite) {
			t.Errorf("got %v", got)
		}
	})
}

func TestNoSink(t *testing.T) {
	t.Parallel()
	r := newRunner(t, false)
	o := r.Run(t.Context(), command(t, "echo a; echo b >&2"))
	if o.State != Exit || o.Exit != 0 || o.Err != nil || o.OutBytes != 2 || o.ErrBytes != 2 {
		t.Errorf("got %+v", o)
	}
}

// TestLive: output is there while the command runs.
func TestLive(t *testing.T) {
	bothWays(t, func(t *testing.T, r *Runner) {
		fifo := spool(t, "") + ".fifo"
		said := newNotify()
		c := command(t, "mkfifo '"+fifo+"'; echo first; read x <'"+fifo+"'; echo $x")
		c.Out = said
		go func() {
			<-said.some
			_ = writeFile(fifo, "second\n")
		}()
		mustExit(t, runCommand(t, t.Context(), r, c), 0)
		if said.String() != "first\nsecond\n" {
			t.Errorf("got %q", said)
		}
	})
}
