package client_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// newQube makes a qube called work with a key, whose client does not wait long.
func newQube(t *testing.T) *client.Client {
	t.Helper()
	c := client.New(filepath.Join(t.TempDir(), queue.FolderName))
	c.Database = func(context.Context, string) (string, error) { return "work", nil }
	c.Waits.Take, c.Waits.Answer, c.Waits.Brief, c.Waits.Settle = 0, 0, 0, 5*time.Millisecond
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GenerateKey(false); err != nil {
		t.Fatal(err)
	}
	return c
}

// serve connects a dom0 that has the qube's key to it, until the test ends or
// stop is called.
func serve(t *testing.T, c *client.Client, d *dom0test.Dom0) (stop func()) {
	t.Helper()
	d.Qube = "work"
	if d.Key.IsZero() {
		d.Key = key(t, c)
	}
	return connect(t, c, d)
}

func connect(t *testing.T, c *client.Client, d *dom0test.Dom0) (stop func()) {
	t.Helper()
	return d.Connect(t, c.Layout)
}

func key(t *testing.T, c *client.Client) queue.Key {
	t.Helper()
	k, err := c.Key()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	return ctx
}

func submit(t *testing.T, c *client.Client, r client.Request) *client.Ticket {
	t.Helper()
	ticket, err := c.Submit(limited(t), r)
	if err != nil {
		t.Fatal(err)
	}
	return ticket
}

// shown collects output; done is closed once it contains mark.
type shown struct {
	mu   sync.Mutex
	b    bytes.Buffer
	mark string
	done chan struct{}
}

func until(mark string) *shown { return &shown{mark: mark, done: make(chan struct{})} }

func (s *shown) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Write(p)
	if s.mark != "" && bytes.Contains(s.b.Bytes(), []byte(s.mark)) {
		s.mark = ""
		close(s.done)
	}
	return len(p), nil
}

func (s *shown) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting for: %s", what)
		}
	}
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// emptyQueue fails unless the queue's folders come to hold no file: the agent
// puts the sign of the end first, so that the client need not wait for the rest.
func emptyQueue(t *testing.T, c *client.Client) {
	t.Helper()
	eventually(t, "nothing is left in the queue", func() bool {
		files, _, err := c.Files(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(files) == 0
	})
}

// answerOf is what an honest dom0 would deliver by hand: a test alters it
// before it calls put.
type answerOf struct {
	c        *client.Client
	t        *client.Ticket
	key      queue.Key
	r        queue.Result
	out, err []byte
	exit     string
	denied   []byte
}

func answer(t *testing.T, c *client.Client, ticket *client.Ticket) *answerOf {
	a := &answerOf{c: c, t: ticket, key: key(t, c), out: []byte("out"), err: []byte("err"), exit: "7"}
	a.r = queue.Result{ID: ticket.ID, Qube: "work", Request: ticket.Digest, State: queue.StateExit, Exit: 7,
		Out: queue.SumOf(a.out), Err: queue.SumOf(a.err)}
	return a
}

// refuse makes the answer a denial.
func (a *answerOf) refuse(why queue.Reason) {
	a.denied = (&queue.Denial{Reason: why}).File()
	a.r.State, a.r.Reason, a.r.Exit, a.r.Out, a.r.Err = queue.StateDenied, why, queue.NoExit, queue.Sum{}, queue.SumOf(a.denied)
}

func (a *answerOf) put(t *testing.T) {
	t.Helper()
	files := []struct {
		ending string
		data   []byte
	}{{queue.Out, a.out}, {queue.Err, a.err}, {queue.Auth, a.r.Sign(a.key.ResultKey())}, {queue.Exit, []byte(a.exit)}}
	if a.denied != nil {
		files = files[2:3]
		files = append(files, struct {
			ending string
			data   []byte
		}{queue.Denied, a.denied})
	}
	for _, f := range files {
		if there(a.c.Layout.Result(a.t.ID, f.ending)) {
			continue // the test's own
		}
		if err := queue.Publish(a.c.Layout.Result(a.t.ID, f.ending), f.data); err != nil {
			t.Fatal(err)
		}
	}
}

func wantError(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("error %v, want %v", err, want)
	}
}
