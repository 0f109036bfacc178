package dom0test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"qvmremote/client/agent"
	"qvmremote/queue"
)

// Connect begins to serve the queue by an agent of its own, until the test ends
// or stop is called.
func (d *Dom0) Connect(t testing.TB, l queue.Layout) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ours, questions := io.Pipe()
	answers, out := io.Pipe()
	var done sync.WaitGroup
	done.Add(2)
	w := agent.DefaultWaits()
	w.Settle = 5 * time.Millisecond
	go func() {
		defer done.Done()
		if err := agent.Run(ctx, l, ours, out, w); err != nil {
			t.Errorf("agent: %v", err)
		}
		out.Close()
		ours.Close()
	}()
	conn, err := Dial(answers, questions)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer done.Done()
		_ = d.Serve(ctx, conn) // ends with the connection
	}()
	stop = sync.OnceFunc(func() { cancel(); done.Wait() })
	t.Cleanup(stop)
	return stop
}
