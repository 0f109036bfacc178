package backlog_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/backlog"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// answered is a request whose answer lies in the queue.
func answered(t *testing.T, c *client.Client, n int, forge bool) client.Entry {
	t.Helper()
	key, err := c.Key()
	if err != nil {
		t.Fatal(err)
	}
	p := dom0test.Past{At: time.Now(), Number: n, Script: "echo", State: queue.StateExit, Exit: 3, Out: "out", Forge: forge}
	day, id, err := p.File(c.Layout, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []struct{ name, ending string }{ // the mark of the end comes last
		{"out", queue.Out}, {"err", queue.Err}, {"meta", queue.Meta}, {"result", queue.Auth}, {"exit", queue.Exit},
	} {
		if err := os.Rename(filepath.Join(c.Layout.History(), day, id, file.name), c.Layout.Result(id, file.ending)); err != nil {
			t.Fatal(err)
		}
	}
	return client.Entry{Day: day, ID: id}
}

// TestAnswersAreCollectedAsTheyCome, whatever lies there that cannot be believed.
func TestAnswersAreCollectedAsTheyCome(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	forged := answered(t, c, 1, true)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- backlog.Collect(ctx, c) }()
	for n := range 3 {
		e := answered(t, c, n+2, false)
		for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(time.Millisecond) {
			lines, err := c.Past(t.Context(), []client.Entry{e})
			if err == nil && lines[0].Signed && lines[0].Exit == 3 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("it is still %+v, %v", lines, err)
			}
		}
	}
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
	files, _, err := c.Files(t.Context(), 100)
	if err != nil || len(files) != 5 || files[0].ID != forged.ID {
		t.Errorf("in the queue: %+v, %v", files, err)
	}
}
