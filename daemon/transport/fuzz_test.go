package transport

import (
	"context"
	"os"
	"testing"
	"time"

	"qvmremote/queue"
)

// FuzzAgent lets a qube say anything: dom0 must come to an end with it, by
// itself, and must not take it for an agent without the magic line.
func FuzzAgent(f *testing.F) {
	hello := queue.Marshal(&queue.Hello{Version: "2", Qube: "work", Time: 1})
	f.Add([]byte("Last login: today\n" + queue.Magic))
	f.Add([]byte(queue.Magic + "\x00\x00\x00\x05\x81\x00\x00\x00\x01"))
	f.Add(append([]byte(queue.Magic+"\x00\x00\x00\x21\x81\x00\x00\x00\x01"), hello...))
	f.Add([]byte(queue.Magic + "\xff\xff\xff\xff\x82\x00\x00\x00\x02garbage"))
	f.Add([]byte("qvm-qvm-remote-agent/2\nx"))
	f.Fuzz(func(t *testing.T, said []byte) {
		if len(said) > maxNoise {
			t.Skip()
		}
		toDom0, fromQube, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		toQube, fromDom0, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer toQube.Close()
		go func() {
			_, _ = fromQube.Write(said)
			_ = fromQube.Close()
		}()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		c, err := newConn(ctx, toDom0, fromDom0, func() { _ = toDom0.Close() }, queue.Hello{Version: "2", Qube: "work"}, patient, NewBudget(1<<20, queue.MaxPayload))
		if err != nil {
			return
		}
		if _, err := c.Wait(ctx, 0, 0); err == nil && !answers(said, 2) {
			t.Error("an answer came from nowhere")
		}
		select {
		case <-c.Done():
		case <-ctx.Done():
			t.Error("the conversation outlived the stream")
		}
	})
}

// answers reports whether said is long enough for so many answers.
func answers(said []byte, n int) bool { return len(said) >= len(queue.Magic)+n*queue.FrameHeadLen }
