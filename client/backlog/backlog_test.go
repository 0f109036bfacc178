package backlog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/backlog"
	"qvmremote/queue"
)

func newQube(t *testing.T) *client.Client {
	t.Helper()
	c := client.New(filepath.Join(t.TempDir(), queue.FolderName))
	c.Database = func(context.Context, string) (string, error) { return "work", nil }
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.GenerateKey(false); err != nil {
		t.Fatal(err)
	}
	return c
}

type lists chan backlog.List

func follow(t *testing.T, c *client.Client) lists {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	got := make(lists, 1000)
	go func() { ended <- backlog.Follow(ctx, c, func(l backlog.List) { got <- l }) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended by itself: %v", err)
		}
	})
	return got
}

func (l lists) until(t *testing.T, what string, is func(backlog.List) bool) backlog.List {
	t.Helper()
	for deadline := time.After(2 * time.Minute); ; {
		select {
		case list := <-l:
			if is(list) {
				return list
			}
		case <-deadline:
			t.Fatalf("still waiting for: %s", what)
		}
	}
}

// TestARequestOnItsWay: each step of it is seen, from the queue's files alone.
func TestARequestOnItsWay(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	list := follow(t, c)
	list.until(t, "an empty queue", func(l backlog.List) bool { return len(l.Requests) == 0 })
	ticket, err := c.Submit(t.Context(), client.Request{Script: []byte("sleep 60\n# \u202e")})
	if err != nil {
		t.Fatal(err)
	}
	at := func(stage client.Stage) func(backlog.List) bool {
		return func(l backlog.List) bool { return len(l.Requests) == 1 && l.Requests[0].Stage == stage }
	}
	q := list.until(t, "it waits", at(client.StagePending)).Requests[0]
	if q.ID != ticket.ID || !q.Own || q.Stale || q.Command != `sleep 60 # \u{202e}` {
		t.Errorf("it waits as %+v", q)
	}
	publish := func(path, text string) {
		t.Helper()
		if err := queue.Publish(path, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	publish(c.Layout.Running(ticket.ID), "approval")
	for _, path := range []string{c.Layout.Header(ticket.ID), c.Layout.Body(ticket.ID)} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	q = list.until(t, "it runs", func(l backlog.List) bool {
		return at(client.StageRunning)(l) && l.Requests[0].Word == queue.WordApproval
	}).Requests[0]
	publish(c.Layout.Cancel(ticket.ID), "cancel")
	list.until(t, "a cancel waits", func(l backlog.List) bool { return at(client.StageRunning)(l) && l.Requests[0].Cancelled })
	publish(c.Layout.Result(ticket.ID, queue.Exit), "0")
	list.until(t, "it is answered", at(client.StageAnswered))
	if _, err := c.Clean(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	list.until(t, "it is empty again", func(l backlog.List) bool { return len(l.Requests) == 0 })
}

// TestOnlyTheStaleIsCleaned: what belongs to nothing goes, what waits or runs
// stays.
func TestOnlyTheStaleIsCleaned(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	waits, err := c.Submit(t.Context(), client.Request{Script: []byte("true")})
	if err != nil {
		t.Fatal(err)
	}
	runs, err := c.Submit(t.Context(), client.Request{Script: []byte("sleep 9")})
	if err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-72 * time.Hour)
	for _, err := range []error{
		queue.Publish(c.Layout.Running(runs.ID), []byte("running")),
		os.WriteFile(filepath.Join(c.Layout.PendingDir(), "no id\n\x1b"), nil, 0o600),
		os.Chtimes(filepath.Join(c.Layout.PendingDir(), "no id\n\x1b"), long, long),
		os.WriteFile(c.Layout.Body("orphan"), []byte("echo"), 0o600),
		os.Chtimes(c.Layout.Body("orphan"), long, long),
		unix.Mkfifo(filepath.Join(c.Layout.ResultsDir(), "20261120-120000-1-f.out"), 0o600),
		os.Symlink("/dev/zero", filepath.Join(c.Layout.RunningDir(), "link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	list := follow(t, c)
	before := list.until(t, "all of it", func(l backlog.List) bool { return len(l.Requests) == 6 })
	if before.Stale != 2 {
		t.Errorf("stale are %d of %+v", before.Stale, before.Requests)
	}
	if _, err := c.Clean(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	after := list.until(t, "what is left", func(l backlog.List) bool { return len(l.Requests) == 4 })
	stages := map[string]client.Stage{}
	for _, q := range after.Requests {
		stages[q.ID] = q.Stage
	}
	if stages[waits.ID] != client.StagePending || stages[runs.ID] != client.StageRunning {
		t.Errorf("left are %+v", after.Requests)
	}
}
