// Package agent is dom0's hand in the qube: dom0 starts it, asks, and the agent
// answers from the queue's files. It guarantees:
//   - It says nothing but the magic line and answers, and executes nothing.
//   - It reads and writes regular files of the queue only, never through a
//     symlink, and never more than the protocol's limits.
//   - Questions other than wait are answered in the order they came, so dom0
//     may send several without waiting. Reading never waits for writing.
//   - Delivering a result or a denial again changes nothing.
//   - While nothing happens it wakes up only for the end of a wait and for its
//     own deadline.
package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"qvmremote/queue"
)

// Waits are the agent's deadlines. Tests shorten them.
type Waits struct {
	Unasked time.Duration // without a question for so long the agent leaves
	Frame   time.Duration // for one frame, in and out
	Settle  time.Duration // after the queue vanished, before it is made again
	Pace    time.Duration // between looks where the system has no inotify left
}

// DefaultWaits are the protocol's.
func DefaultWaits() Waits {
	return Waits{Unasked: 150 * time.Second, Frame: 30 * time.Second, Settle: 200 * time.Millisecond, Pace: time.Second}
}

// errLeft ends an agent that nobody asks any more; to the caller it is no error.
var errLeft = errors.New("nobody asks")

type agent struct {
	layout queue.Layout
	waits  Waits
	tree   *tree
	names  names

	open    atomic.Int32 // questions read and not yet being answered
	waiting atomic.Bool  // one of them is a wait
}

// Run serves one connection: it makes the queue where it is missing, writes
// the magic line and answers questions until in ends, nobody asked for
// Waits.Unasked, or ctx ends; then the error is nil. The error is
// [queue.ErrFrame] when the peer broke the rules. Run leaves in to its caller:
// a read from it may still be under way when Run returns.
func Run(ctx context.Context, layout queue.Layout, in io.Reader, out io.Writer, w Waits) error {
	a := &agent{layout: layout, waits: w, names: names{number: 1}}
	a.tree = newTree(layout, w)
	defer a.tree.close()
	if err := a.tree.ensure(ctx); err != nil {
		return err
	}
	if _, err := io.WriteString(out, queue.Magic); err != nil {
		return fmt.Errorf("cannot speak to dom0: %w", err)
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	work := make(chan queue.Frame, queue.MaxQuestion)
	answers := make(chan queue.Frame, queue.MaxQuestion)
	var asked sync.WaitGroup
	asked.Add(1)
	go func() { defer asked.Done(); a.work(ctx, stop, work, answers) }()
	written := make(chan struct{})
	go func() { defer close(written); a.write(ctx, stop, out, answers) }()
	a.dispatch(ctx, stop, in, work, answers, &asked)
	stop(nil)
	asked.Wait()
	select { // a write that the peer does not take must not keep the agent alive
	case <-written:
	case <-time.After(w.Frame):
	}
	if err := context.Cause(ctx); err != nil && !errors.Is(err, errLeft) && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// dispatch hands out what comes in until the connection is over.
func (a *agent) dispatch(ctx context.Context, stop context.CancelCauseFunc, in io.Reader, work, answers chan queue.Frame, asked *sync.WaitGroup) {
	frames, begun := make(chan queue.Frame), make(chan struct{})
	go a.read(ctx, stop, in, begun, frames)
	deadline := time.NewTimer(a.waits.Unasked)
	defer deadline.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-deadline.C:
			stop(errLeft)
			return
		case <-begun:
			deadline.Reset(a.waits.Frame)
		case f := <-frames:
			deadline.Reset(a.waits.Unasked)
			if err := a.accept(f); err != nil {
				stop(err)
				return
			}
			if f.Type != queue.FrameWait {
				work <- f // has room: accept counted
				continue
			}
			asked.Add(1)
			go func() { defer asked.Done(); a.wait(ctx, stop, f, answers) }()
		}
	}
}

// read turns the stream into frames. It tells when one begins, since a frame
// may take less time than the pause before it.
func (a *agent) read(ctx context.Context, stop context.CancelCauseFunc, in io.Reader, begun chan<- struct{}, frames chan<- queue.Frame) {
	r := bufio.NewReaderSize(in, 64<<10)
	for {
		_, err := r.Peek(1)
		if err == nil {
			select {
			case begun <- struct{}{}:
			case <-ctx.Done():
				return
			}
			var f queue.Frame
			if f, err = queue.ReadFrame(r); err == nil {
				select {
				case frames <- f:
					continue
				case <-ctx.Done():
					return
				}
			}
		}
		if !errors.Is(err, queue.ErrFrame) {
			err = errLeft // dom0 hung up, perhaps in the middle of a frame
		}
		stop(err)
		return
	}
}

// accept holds a question against the rules of the connection.
func (a *agent) accept(f queue.Frame) error {
	if !f.Type.Question() {
		return fmt.Errorf("%w: type %#x is no question", queue.ErrFrame, byte(f.Type))
	}
	if a.open.Add(1) > queue.MaxQuestion {
		return fmt.Errorf("%w: more than %d questions open", queue.ErrFrame, queue.MaxQuestion)
	}
	if f.Type == queue.FrameWait && !a.waiting.CompareAndSwap(false, true) {
		return fmt.Errorf("%w: a second wait", queue.ErrFrame)
	}
	return nil
}

// write sends answers. A question counts as closed just before its answer
// goes out, for dom0 may ask the next one as soon as it has it.
func (a *agent) write(ctx context.Context, stop context.CancelCauseFunc, out io.Writer, answers <-chan queue.Frame) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-answers:
			a.open.Add(-1)
			late := time.AfterFunc(a.waits.Frame, func() { stop(errLeft) })
			err := queue.WriteFrame(out, f)
			late.Stop()
			if err != nil {
				stop(errLeft)
				return
			}
		}
	}
}

// work answers all questions but wait, one after the other.
func (a *agent) work(ctx context.Context, stop context.CancelCauseFunc, work <-chan queue.Frame, answers chan<- queue.Frame) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-work:
			m, err := a.answer(ctx, f)
			if errors.Is(err, queue.ErrFrame) {
				stop(err)
				return
			}
			send(ctx, answers, f, m, err)
		}
	}
}

func (a *agent) wait(ctx context.Context, stop context.CancelCauseFunc, f queue.Frame, answers chan<- queue.Frame) {
	var m queue.Wait
	if err := queue.Unmarshal(f.Payload, &m); err != nil {
		stop(err)
		return
	}
	names, err := a.await(ctx, m)
	a.waiting.Store(false)
	send(ctx, answers, f, names, err)
}

func send(ctx context.Context, answers chan<- queue.Frame, question queue.Frame, m queue.Message, err error) {
	f := queue.Frame{Type: question.Type | queue.AnswerBit, Tag: question.Tag}
	if err != nil {
		f.Type, m = queue.FrameError, queue.FailureOf(err)
	}
	f.Payload = queue.Marshal(m)
	select {
	case answers <- f:
	case <-ctx.Done():
	}
}
