package transport

import (
	"bufio"
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"qvmremote/queue"
)

var patient = Times{Magic: 20 * time.Second, Frame: 20 * time.Second, Answer: 20 * time.Second, Shutdown: time.Second}

// fakeAgent is the other end of a conversation, by hand.
type fakeAgent struct {
	t      *testing.T
	in     *bufio.Reader
	inFile *os.File
	out    *os.File
	ended  chan struct{} // closed when dom0 ended the process
}

type opened struct {
	conn *conversation
	err  error
}

// dial begins a conversation; the agent must say its magic line first.
func dial(t *testing.T, times Times) (*fakeAgent, <-chan opened) {
	t.Helper()
	return dialWith(t, context.Background(), times, NewBudget(1<<20, queue.MaxPayload))
}

func dialWith(t *testing.T, ctx context.Context, times Times, budget *Budget) (*fakeAgent, <-chan opened) {
	t.Helper()
	toDom0, fromQube, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	toQube, fromDom0, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAgent{t: t, in: bufio.NewReader(toQube), inFile: toQube, out: fromQube, ended: make(chan struct{})}
	var once sync.Once
	end := func() { once.Do(func() { _ = toDom0.Close(); close(a.ended) }) }
	t.Cleanup(func() { end(); _, _ = fromQube.Close(), toQube.Close() })
	result := make(chan opened, 1)
	go func() {
		c, err := newConn(ctx, toDom0, fromDom0, end, queue.Hello{Version: "2", Qube: "work", Time: 1}, times, budget)
		result <- opened{c, err}
	}()
	return a, result
}

// connect is a conversation after the greeting.
func connect(t *testing.T, times Times) (*fakeAgent, *conversation) {
	t.Helper()
	a, result := dial(t, times)
	a.say(queue.Magic)
	f := a.read()
	a.answer(f, &queue.Hello{Version: "2", Qube: "work", Time: 2})
	o := <-result
	if o.err != nil {
		t.Fatal(o.err)
	}
	t.Cleanup(o.conn.Close)
	return a, o.conn
}

func (a *fakeAgent) say(s string) {
	a.t.Helper()
	if _, err := a.out.WriteString(s); err != nil {
		a.t.Error(err)
	}
}

func (a *fakeAgent) read() queue.Frame {
	a.t.Helper()
	f, err := queue.ReadFrame(a.in)
	if err != nil {
		a.t.Errorf("dom0 asked nothing: %v", err)
	}
	return f
}

func (a *fakeAgent) answer(f queue.Frame, m queue.Message) {
	a.t.Helper()
	a.send(queue.Frame{Type: f.Type | queue.AnswerBit, Tag: f.Tag, Payload: queue.Marshal(m)})
}

// send sends a frame; dom0 may have hung up by then.
func (a *fakeAgent) send(f queue.Frame) { _ = queue.WriteFrame(a.out, f) }

// over waits for the end of the conversation and checks why it came.
func over(t *testing.T, c *conversation, want error) {
	t.Helper()
	select {
	case <-c.Done():
	case <-time.After(time.Minute):
		t.Fatal("the conversation goes on")
	}
	if err := c.Err(); !errors.Is(err, want) {
		t.Errorf("it ended with %v, want %v", err, want)
	}
}
