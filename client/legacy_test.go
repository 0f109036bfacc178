package client_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
)

// newLegacyQube is a qube whose client speaks version 1.
func newLegacyQube(t *testing.T) *client.Client {
	t.Helper()
	c := newQube(t)
	c.Legacy = true
	c.Waits.Meta = 50 * time.Millisecond
	return c
}

// oldWrite writes a file as the first implementation does: in place.
func oldWrite(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

type ended struct {
	o   client.Outcome
	err error
}

func waitFor(t *testing.T, c *client.Client, ticket *client.Ticket, e client.Events) <-chan ended {
	t.Helper()
	done := make(chan ended, 1)
	ctx := limited(t)
	go func() {
		o, err := c.Wait(ctx, ticket, e)
		done <- ended{o, err}
	}()
	return done
}

// TestLegacySubmitOrder: whoever lists the folder never sees the script without
// its token.
func TestLegacySubmitOrder(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("ls\n")})
	token, err := os.ReadFile(c.Layout.Header(ticket.ID))
	if err != nil || queue.CheckLegacyToken(key(t, c), ticket.ID, token) != nil {
		t.Errorf("the token is %q, %v", token, err)
	}
	if body, err := os.ReadFile(c.Layout.Body(ticket.ID)); err != nil || string(body) != "ls\n" {
		t.Errorf("the script is %q, %v", body, err)
	}
	// Where the script has no place nothing is left, the token neither.
	blocked := newLegacyQube(t)
	if err := os.Remove(blocked.Layout.PendingDir()); err != nil {
		t.Fatal(err)
	}
	if _, err := blocked.Submit(limited(t), client.Request{Script: []byte("ls\n")}); err == nil {
		t.Error("a request without a place was submitted")
	}
	if h := blocked.History(1); len(h) != 0 {
		t.Errorf("the history has %+v", h)
	}
}

func TestLegacyRefusesWhatVersion1CannotDo(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	for what, r := range map[string]client.Request{
		"standard input": {Script: []byte("cat\n"), Stdin: strings.NewReader("x")},
		"--detach":       {Script: []byte("ls\n"), Detach: true},
		"--within":       {Script: []byte("ls\n"), Within: time.Minute},
	} {
		_, err := c.Submit(limited(t), r)
		if !errors.Is(err, client.ErrLegacyCannot) || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	emptyQueue(t, c)
}

// TestLegacyWaitsForTheWholeAnswer: an .exit that is empty is no answer, one
// with a number is one when .meta is there too, or when the wait for it is over.
func TestLegacyWaitsForTheWholeAnswer(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	c.Waits.Meta = time.Hour
	ticket := submit(t, c, client.Request{Script: []byte("echo hello\n")})
	out := until("hello")
	done := waitFor(t, c, ticket, client.Events{Stdout: out})
	if err := os.Rename(c.Layout.Body(ticket.ID), c.Layout.Running(ticket.ID)); err != nil {
		t.Fatal(err)
	}
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Out), "hello\n")
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Err), "")
	<-out.done
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Exit), "")
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Exit), "7")
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Meta), "id=") // not all of it yet
	select {
	case e := <-done:
		t.Fatalf("ended before .meta was there: %+v", e)
	case <-time.After(100 * time.Millisecond):
	}
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Meta), "id="+ticket.ID+"\nstarted=2026-02-18T10:00:00\nduration_ms=12\nexit_code=7\n")
	e := <-done
	if e.err != nil || e.o.Exit != 7 || e.o.State != queue.StateExit || e.o.Signed || !e.o.Legacy || e.o.Duration != 12*time.Millisecond {
		t.Errorf("the end is %+v", e)
	}
	if out.String() != "hello\n" {
		t.Errorf("stdout is %q", out)
	}
	if h := c.History(1); len(h) != 1 || h[0].Exit != 7 || h[0].Signed || h[0].Command != "echo hello" {
		t.Errorf("the history is %+v", h)
	}
}

func TestLegacyEnds(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		exit string
		code int
		bad  bool
	}{
		"without .meta":         {exit: "0", code: 0},
		"with a newline":        {exit: "3\n", code: 3},
		"dom0 stopped":          {exit: "130", code: 130},
		"killed by a signal":    {exit: "-9", code: 137},
		"what is no number":     {exit: "ok", bad: true},
		"a number out of range": {exit: "4096", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newLegacyQube(t)
			r := client.Request{Script: []byte("x\n")}
			if want.bad {
				r.Timeout = time.Second // such an .exit may yet become one
			}
			ticket := submit(t, c, r)
			done := waitFor(t, c, ticket, client.Events{})
			oldWrite(t, c.Layout.Result(ticket.ID, queue.Exit), want.exit)
			e := <-done
			if want.bad && !errors.Is(e.err, client.ErrBadResult) || !want.bad && (e.err != nil || e.o.Exit != want.code) {
				t.Errorf("the end is %+v", e)
			}
		})
	}
}

// TestLegacyRefusal: an old dom0 removes what it refuses and says nothing.
func TestLegacyRefusal(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x\n")})
	done := waitFor(t, c, ticket, client.Events{})
	if err := os.Remove(c.Layout.Body(ticket.ID)); err != nil {
		t.Fatal(err)
	}
	if e := <-done; !errors.Is(e.err, client.ErrLegacyGone) {
		t.Errorf("the end is %+v", e)
	}
	emptyQueue(t, c) // the token too
}

func TestLegacyDenial(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x\n")})
	done := waitFor(t, c, ticket, client.Events{})
	// Only our dom0 denies, and it writes nothing in place.
	if err := queue.Publish(c.Layout.Result(ticket.ID, queue.Denied), []byte("no-key\ndom0 has no key of this qube")); err != nil {
		t.Fatal(err)
	}
	e := <-done
	if e.err != nil || e.o.State != queue.StateDenied || e.o.Exit != queue.ExitDenied || e.o.Reason != queue.NoKey || e.o.Signed {
		t.Errorf("the end is %+v", e)
	}
	if there(c.Layout.Body(ticket.ID)) || there(c.Layout.Cancel(ticket.ID)) {
		t.Error("the request was not withdrawn, or a cancel of version 2 was published")
	}
}

func TestLegacyTimeout(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x\n"), Timeout: time.Second})
	if err := os.Rename(c.Layout.Body(ticket.ID), c.Layout.Running(ticket.ID)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(limited(t), ticket, client.Events{}); !errors.Is(err, client.ErrLegacyTimeout) {
		t.Fatalf("the end is %v", err)
	}
	// Later it is there all the same.
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Exit), "0")
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Meta), "duration_ms=2000\n")
	again, err := c.Ticket(ticket.ID)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := c.Wait(limited(t), again, client.Events{}); err != nil || o.Exit != 0 || !o.Legacy {
		t.Errorf("later it is %+v, %v", o, err)
	}
}

func TestLegacyNotTaken(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	now := time.Now()
	c.Now = func() time.Time { return now.Add(-client.DefaultWaits().Take - 600*time.Second) }
	ticket := submit(t, c, client.Request{Script: []byte("x\n")})
	c.Now = func() time.Time { return now }
	again, err := c.Ticket(ticket.ID) // as old as its clock says
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Wait(limited(t), again, client.Events{})
	wantError(t, err, client.ErrNotTaken)
	emptyQueue(t, c)
}

// TestLegacyHasNoCancel: what dom0 has not read is withdrawn, and nothing else
// is promised.
func TestLegacyHasNoCancel(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x\n")})
	_, err := c.Cancel(context.Background(), ticket)
	wantError(t, err, client.ErrLegacyCannot)
	emptyQueue(t, c)
}

// TestLegacyMarkStays: what was submitted as version 1 is waited for as version
// 1, and what was not never believes an answer without a signature.
func TestLegacyMarkStays(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x\n")})
	done := waitFor(t, c, ticket, client.Events{})
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Exit), "0")
	oldWrite(t, c.Layout.Result(ticket.ID, queue.Meta), "duration_ms=1\n")
	if e := <-done; !errors.Is(e.err, client.ErrBadResult) {
		t.Errorf("version 2 ends with %+v", e)
	}
	c.Legacy = true
	again, err := c.Ticket(ticket.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(limited(t), again, client.Events{}); !errors.Is(err, client.ErrBadResult) {
		t.Errorf("in legacy mode the same request ends with %v", err)
	}
}

func TestLegacyIsSaid(t *testing.T) {
	t.Parallel()
	c := newLegacyQube(t)
	c.Waits.Ping, c.Waits.Status = time.Second, 10*time.Millisecond
	s, err := c.Status(limited(t))
	if err != nil || !s.Legacy || s.Connected {
		t.Errorf("the status is %+v, %v", s, err)
	}
	found := false
	for _, f := range c.Doctor(limited(t)) {
		found = found || f.Check == "mode" && f.Severity == client.Warning && strings.Contains(f.Cause, "legacy, insecure")
	}
	if !found {
		t.Error("the doctor does not say it")
	}
	emptyQueue(t, c)
}
