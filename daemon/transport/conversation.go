// Package transport carries the questions of dom0 to a qube's agent and brings
// the answers back. It guarantees:
//
//   - dom0 speaks first: nothing is sent before the magic line, what comes
//     before that line is dropped, and an answer nobody asked for ends the
//     connection.
//   - Every read is bounded before it is made: an answer may be no longer than
//     its question allows, at most [queue.MaxQuestion] questions are open, and
//     all connections together hold no more than a [Budget] of answers.
//   - Every wait has a deadline, and no process started here outlives its
//     connection in dom0.
//
// It believes nothing of what a qube says; that is the business of its callers.
package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"qvmremote/queue"
)

// Times are the waits of a conversation; tests shorten them.
type Times struct {
	Magic    time.Duration // for the magic line; real qvm-run may hold the first data back for 10 s
	Frame    time.Duration // for the rest of a frame, once it has begun
	Answer   time.Duration // for an answer, beyond the question's own wait
	Shutdown time.Duration // for the transport's process to go by itself
}

// DefaultTimes are those of docs/protocol.md §7.
func DefaultTimes() Times {
	return Times{Magic: 20 * time.Second, Frame: 30 * time.Second, Answer: 30 * time.Second, Shutdown: 2 * time.Second}
}

// ErrNoAgent says that what answered in the qube is not our agent, or nothing
// answered.
var ErrNoAgent = errors.New("no agent in the qube")

// ErrProtocol says that the qube broke the protocol; the connection is over.
var ErrProtocol = errors.New("the qube broke the protocol")

// errClosed is the cause of a connection that this side ended.
var errClosed = errors.New("connection closed")

// maxNoise is how many bytes may come before the magic line.
const maxNoise = 64 << 10

// conversation is a [Conn] to our agent. Its methods may be used
// from several goroutines.
type conversation struct {
	Peer queue.Hello // what the agent said of itself; not to be believed

	times  Times
	budget *Budget
	in     *bufio.Reader
	inFile deadliner
	out    io.WriteCloser
	end    func() // ends the process behind the streams; idempotent
	await  func() // waits for what end began; nil where there is nothing to wait for

	slots chan struct{} // open questions
	fetch chan struct{} // one large answer at a time
	write chan queue.Frame

	done chan struct{}
	mu   sync.Mutex
	err  error
	tag  uint32
	open map[uint32]question
}

// deadliner is what a pipe of the os package can do.
type deadliner interface {
	io.Reader
	SetReadDeadline(time.Time) error
}

type question struct {
	kind   queue.FrameType
	max    int
	answer chan queue.Frame
}

// answerLimit is how long a payload may answer the question t. Only the few
// answers that carry data may be large.
func answerLimit(t queue.FrameType) int {
	switch t {
	case queue.FrameFetch:
		return queue.MaxPayload
	case queue.FrameWait, queue.FrameList:
		return queue.MaxPayload - queue.MaxHeader
	default:
		return 2 * queue.MaxHeader
	}
}

// newConn waits for the magic line and greets the agent. end is called once
// the conversation is over, also when newConn fails.
func newConn(ctx context.Context, in deadliner, out io.WriteCloser, end func(), hello queue.Hello, times Times, budget *Budget) (*conversation, error) {
	c := &conversation{
		times: times, budget: budget, in: bufio.NewReaderSize(in, 4<<10), inFile: in, out: out, end: end,
		slots: make(chan struct{}, queue.MaxQuestion), fetch: make(chan struct{}, 1), write: make(chan queue.Frame),
		done: make(chan struct{}), open: map[uint32]question{},
	}
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	if err := c.awaitMagic(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		c.fail(err)
		return nil, err
	}
	go c.readLoop()
	go c.writeLoop()
	if err := c.ask(ctx, times.Answer, queue.FrameHello, &hello, &c.Peer); err != nil {
		c.fail(err)
		return nil, fmt.Errorf("the agent did not answer the greeting: %w", err)
	}
	return c, nil
}

// awaitMagic waits for the line that only an agent prints.
func (c *conversation) awaitMagic() error {
	if err := c.inFile.SetReadDeadline(time.Now().Add(c.times.Magic)); err != nil {
		return err
	}
	err := SkipNoise(c.in, queue.Magic)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("%w: nothing of it within %s", ErrNoAgent, c.times.Magic)
	}
	if err != nil {
		return err
	}
	return c.inFile.SetReadDeadline(time.Time{})
}

// SkipNoise drops a login shell's greeting up to and with the line magic, of
// which the first byte is in it only once. The error is [ErrNoAgent] where too
// much, or nothing more, comes before it.
func SkipNoise(in io.ByteReader, magic string) error {
	matched := 0
	for read := 0; read < maxNoise+len(magic); read++ {
		b, err := in.ReadByte()
		if err != nil {
			return fmt.Errorf("%w: the stream ended: %w", ErrNoAgent, err)
		}
		// A failed match can begin anew only with the byte at hand.
		if b == magic[matched] {
			matched++
		} else if matched = 0; b == magic[0] {
			matched = 1
		}
		if matched == len(magic) {
			return nil
		}
	}
	return fmt.Errorf("%w: %d bytes of something else", ErrNoAgent, maxNoise)
}

func (c *conversation) Done() <-chan struct{} { return c.done }

func (c *conversation) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close waits within Times.Shutdown and a second.
func (c *conversation) Close() {
	c.fail(errClosed)
	if c.await != nil {
		c.await()
	}
}

func (c *conversation) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
		close(c.done)
	}
	c.mu.Unlock()
	if first {
		_ = c.out.Close()
		c.end()
	}
}

func (c *conversation) readLoop() {
	for {
		f, err := c.readFrame()
		if err == nil {
			err = c.deliver(f)
		}
		if err != nil {
			c.fail(err)
			return
		}
	}
}

// readFrame waits without a deadline for a frame to begin (a question's own
// deadline guards that), then at most Times.Frame for the rest of it.
func (c *conversation) readFrame() (queue.Frame, error) {
	if _, err := c.in.Peek(1); err != nil {
		return queue.Frame{}, fmt.Errorf("the stream ended: %w", err)
	}
	if err := c.inFile.SetReadDeadline(time.Now().Add(c.times.Frame)); err != nil {
		return queue.Frame{}, err
	}
	head, err := c.in.Peek(queue.FrameHeadLen)
	if err != nil {
		return queue.Frame{}, fmt.Errorf("%w: half a frame: %w", ErrProtocol, err)
	}
	size, kind, tag := queue.FrameHead(head)
	c.mu.Lock()
	q, asked := c.open[tag]
	c.mu.Unlock()
	if !asked || kind != q.kind|queue.AnswerBit && kind != queue.FrameError {
		return queue.Frame{}, fmt.Errorf("%w: an answer to no question", ErrProtocol)
	}
	if size > int64(q.max) || kind == queue.FrameError && size > 2*queue.MaxHeader {
		return queue.Frame{}, fmt.Errorf("%w: an answer of %d bytes", ErrProtocol, size)
	}
	f, err := queue.ReadFrame(c.in)
	if err != nil {
		return f, fmt.Errorf("%w: %w", ErrProtocol, err)
	}
	return f, c.inFile.SetReadDeadline(time.Time{})
}

func (c *conversation) deliver(f queue.Frame) error {
	c.mu.Lock()
	q, asked := c.open[f.Tag]
	delete(c.open, f.Tag)
	c.mu.Unlock()
	if !asked {
		return fmt.Errorf("%w: a second answer", ErrProtocol)
	}
	q.answer <- f // buffered for one, and a tag is answered once
	return nil
}

func (c *conversation) writeLoop() {
	for {
		select {
		case <-c.done:
			return
		case f := <-c.write:
			timer := time.AfterFunc(c.times.Frame, func() {
				c.fail(fmt.Errorf("%w: it took no frame for %s", ErrProtocol, c.times.Frame))
			})
			err := queue.WriteFrame(c.out, f)
			timer.Stop()
			if err != nil {
				c.fail(fmt.Errorf("cannot send to the qube: %w", err))
				return
			}
		}
	}
}

// ask puts one question and waits for its answer: at most patience, or until
// ctx ends. Running out of patience ends the conversation; an ended ctx only
// forgets the answer when there was one to come.
func (c *conversation) ask(ctx context.Context, patience time.Duration, t queue.FrameType, q, a queue.Message) error {
	select {
	case c.slots <- struct{}{}:
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	answer := make(chan queue.Frame, 1)
	tag := c.register(question{kind: t, max: answerLimit(t), answer: answer})
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case c.write <- queue.Frame{Type: t, Tag: tag, Payload: queue.Marshal(q)}:
	case <-c.done:
		<-c.slots
		return c.Err()
	case <-ctx.Done(): // it was never asked
		c.unregister(tag)
		<-c.slots
		return context.Cause(ctx)
	}
	select {
	case f := <-answer:
		<-c.slots
		return c.read(f, a)
	case <-c.done:
		<-c.slots
		return c.Err()
	case <-timer.C:
		err := fmt.Errorf("%w: no answer within %s", ErrProtocol, patience)
		c.fail(err)
		<-c.slots
		return err
	case <-ctx.Done():
		go c.forget(answer, patience)
		return context.Cause(ctx)
	}
}

// forget frees the slot of a question whose asker went away once the answer
// came, so that the number of open questions stays true.
func (c *conversation) forget(answer <-chan queue.Frame, patience time.Duration) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-answer:
	case <-c.done:
	case <-timer.C:
		c.fail(fmt.Errorf("%w: no answer within %s", ErrProtocol, patience))
	}
	<-c.slots
}

func (c *conversation) register(q question) uint32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tag++
	c.open[c.tag] = q
	return c.tag
}

func (c *conversation) unregister(tag uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, tag)
}

// read reads the answer's payload. A broken one ends the conversation; an
// error frame does not.
func (c *conversation) read(f queue.Frame, a queue.Message) error {
	if f.Type == queue.FrameError {
		var failure queue.Failure
		if err := queue.Unmarshal(f.Payload, &failure); err != nil {
			err = fmt.Errorf("%w: %w", ErrProtocol, err)
			c.fail(err)
			return err
		}
		return &failure
	}
	if err := queue.Unmarshal(f.Payload, a); err != nil {
		err = fmt.Errorf("%w: %w", ErrProtocol, err)
		c.fail(err)
		return err
	}
	return nil
}
