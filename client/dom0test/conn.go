// Package dom0test is a small dom0 for tests of the qube's side: it speaks the
// agent's protocol, checks and claims requests in memory, runs them with bash
// as the present account, and signs and delivers what they gave. Its hooks let
// a test deliver what an honest dom0 never would. It is no part of any program.
package dom0test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"qvmremote/queue"
)

// Conn asks an agent. It is safe for use by many goroutines.
type Conn struct {
	w      io.Writer
	writes sync.Mutex
	slots  chan struct{} // questions other than wait

	mu   sync.Mutex
	tag  uint32
	open map[uint32]chan queue.Frame
	err  error
}

// Dial waits for the agent's magic line in r, dropping what comes before it.
func Dial(r io.Reader, w io.Writer) (*Conn, error) {
	b := bufio.NewReader(r)
	for {
		line, err := b.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("no agent: %w", err)
		}
		if strings.HasSuffix(line, queue.Magic) {
			break
		}
	}
	c := &Conn{w: w, open: map[uint32]chan queue.Frame{}, slots: make(chan struct{}, queue.MaxQuestion-1)}
	go c.read(b)
	return c, nil
}

func (c *Conn) read(b *bufio.Reader) {
	for {
		f, err := queue.ReadFrame(b)
		c.mu.Lock()
		if err != nil {
			c.err = err
			for _, ch := range c.open {
				close(ch)
			}
			c.open = nil
			c.mu.Unlock()
			return
		}
		ch := c.open[f.Tag]
		delete(c.open, f.Tag)
		c.mu.Unlock()
		if ch != nil {
			ch <- f
		}
	}
}

// Ask sends a question and reads the answer into a. A failure of the agent is
// a [*queue.Failure].
func (c *Conn) Ask(ctx context.Context, t queue.FrameType, q, a queue.Message) error {
	if t != queue.FrameWait {
		select {
		case c.slots <- struct{}{}:
			defer func() { <-c.slots }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	ch := make(chan queue.Frame, 1)
	c.mu.Lock()
	if c.open == nil {
		c.mu.Unlock()
		return c.err
	}
	c.tag++
	tag := c.tag
	c.open[tag] = ch
	c.mu.Unlock()
	if err := c.Send(queue.Frame{Type: t, Tag: tag, Payload: queue.Marshal(q)}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case f, ok := <-ch:
		return decode(f, ok, t, a)
	}
}

func decode(f queue.Frame, ok bool, t queue.FrameType, a queue.Message) error {
	switch {
	case !ok:
		return io.ErrUnexpectedEOF
	case f.Type == queue.FrameError:
		var failure queue.Failure
		if err := queue.Unmarshal(f.Payload, &failure); err != nil {
			return err
		}
		return &failure
	case f.Type != t|queue.AnswerBit:
		return errors.New("an answer to another question")
	}
	return queue.Unmarshal(f.Payload, a)
}

// Send writes one frame as it is.
func (c *Conn) Send(f queue.Frame) error {
	c.writes.Lock()
	defer c.writes.Unlock()
	return queue.WriteFrame(c.w, f)
}

// Do asks what has no answer but "done".
func (c *Conn) Do(ctx context.Context, t queue.FrameType, q queue.Message) error {
	return c.Ask(ctx, t, q, &queue.Done{})
}

// Fetch reads a whole part of a request.
func (c *Conn) Fetch(ctx context.Context, id string, part queue.Part) ([]byte, error) {
	var all []byte
	for {
		var d queue.Data
		if err := c.Ask(ctx, queue.FrameFetch, &queue.Fetch{ID: id, Part: part, Offset: int64(len(all))}, &d); err != nil {
			return nil, err
		}
		all = append(all, d.Bytes...)
		if int64(len(all)) >= d.Size || len(d.Bytes) == 0 {
			return all, nil
		}
	}
}
