package transport

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/queue"
)

// TestWhatBreaksTheRulesEndsTheConversation: each in answer to a State, whose
// answer may be short only.
func TestWhatBreaksTheRulesEndsTheConversation(t *testing.T) {
	t.Parallel()
	for name, reply := range map[string]func(a *fakeAgent, f queue.Frame){
		"another tag":       func(a *fakeAgent, f queue.Frame) { f.Tag++; a.answer(f, &queue.Done{}) },
		"another type":      func(a *fakeAgent, f queue.Frame) { f.Type = queue.FrameWrite; a.answer(f, &queue.Done{}) },
		"a question":        func(a *fakeAgent, f queue.Frame) { a.send(f) },
		"a long payload":    func(a *fakeAgent, f queue.Frame) { a.answer(f, &queue.Data{Bytes: make([]byte, queue.Chunk)}) },
		"a wrong payload":   func(a *fakeAgent, f queue.Frame) { a.answer(f, &queue.Data{Bytes: []byte("x")}) },
		"a huge length":     func(a *fakeAgent, f queue.Frame) { a.head(1<<32-1, f.Type|queue.AnswerBit, f.Tag) },
		"a tiny length":     func(a *fakeAgent, f queue.Frame) { a.head(1, f.Type|queue.AnswerBit, f.Tag) },
		"a broken failure":  func(a *fakeAgent, f queue.Frame) { a.send(queue.Frame{Type: queue.FrameError, Tag: f.Tag}) },
		"a second magic":    func(a *fakeAgent, _ queue.Frame) { a.say(queue.Magic) },
		"half a frame":      func(a *fakeAgent, f queue.Frame) { a.head(9, f.Type|queue.AnswerBit, f.Tag); _ = a.out.Close() },
		"a large complaint": func(a *fakeAgent, f queue.Frame) { a.head(100_000, queue.FrameError, f.Tag) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, c := connect(t, patient)
			go func() { reply(a, a.read()) }()
			if err := c.State(t.Context(), "a", queue.WordQueued); !errors.Is(err, ErrProtocol) {
				t.Errorf("%v", err)
			}
			over(t, c, ErrProtocol)
			<-a.ended
			if err := c.State(t.Context(), "a", queue.WordQueued); !errors.Is(err, ErrProtocol) {
				t.Errorf("asked again: %v", err)
			}
		})
	}
}

// head sends the first bytes of a frame that says it has n bytes.
func (a *fakeAgent) head(n uint32, t queue.FrameType, tag uint32) {
	b := binary.BigEndian.AppendUint32(nil, n)
	b = append(b, byte(t))
	a.say(string(binary.BigEndian.AppendUint32(b, tag)))
}

func TestAnAnswerNobodyAskedForEndsTheConversation(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	a.send(queue.Frame{Type: queue.FrameWait | queue.AnswerBit, Tag: 99})
	over(t, c, ErrProtocol)
}

func TestTwoAnswersEndTheConversation(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	go func() {
		f := a.read()
		a.answer(f, &queue.Done{})
		_ = queue.WriteFrame(a.out, queue.Frame{Type: f.Type | queue.AnswerBit, Tag: f.Tag})
	}()
	_ = c.State(t.Context(), "a", queue.WordQueued)
	over(t, c, ErrProtocol)
}

func TestAFailureIsAnAnswer(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	go func() {
		f := a.read()
		a.send(queue.Frame{Type: queue.FrameError, Tag: f.Tag, Payload: queue.Marshal(&queue.Failure{Code: queue.CodeFull, Text: "full"})})
		a.answer(a.read(), &queue.Done{})
	}()
	var failure *queue.Failure
	if err := c.Write(t.Context(), "a", queue.Stdout, 0, []byte("x")); !errors.As(err, &failure) || failure.Code != queue.CodeFull {
		t.Errorf("%v", err)
	}
	if err := c.Finish(t.Context(), &queue.Finish{ID: "a", Exit: "0"}, nil, nil); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		short func(*Times)
		reply func(a *fakeAgent, f queue.Frame)
	}{
		"no answer":    {func(t *Times) { t.Answer = 50 * time.Millisecond }, func(*fakeAgent, queue.Frame) {}},
		"half a frame": {func(t *Times) { t.Frame = 50 * time.Millisecond }, func(a *fakeAgent, f queue.Frame) { a.head(50, f.Type|queue.AnswerBit, f.Tag) }},
		"half a head":  {func(t *Times) { t.Frame = 50 * time.Millisecond }, func(a *fakeAgent, _ queue.Frame) { a.say("\x00") }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := patient
			c.short(&times)
			a, conn := connect(t, times)
			go func() { c.reply(a, a.read()) }()
			if err := conn.State(t.Context(), "a", queue.WordQueued); !errors.Is(err, ErrProtocol) {
				t.Errorf("%v", err)
			}
			over(t, conn, ErrProtocol)
		})
	}
}

// TestAQubeThatTakesNothingIsLeft: what does not fit into the pipe is waited
// for no longer than a frame may take.
func TestAQubeThatTakesNothingIsLeft(t *testing.T) {
	t.Parallel()
	times := patient
	times.Frame = 50 * time.Millisecond
	_, c := connect(t, times)
	if err := c.Write(t.Context(), "a", queue.Stdout, 0, make([]byte, queue.Chunk)); !errors.Is(err, ErrProtocol) {
		t.Errorf("%v", err)
	}
	over(t, c, ErrProtocol)
}

// TestAWaitingQuestionEndsWithItsContext: also one that could not be sent yet.
func TestAWaitingQuestionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	stuck := make(chan error, 1)
	go func() { stuck <- c.Write(context.Background(), "a", queue.Stdout, 0, make([]byte, queue.Chunk)) }()
	if _, err := a.in.Peek(1); err != nil { // the writer has begun, and cannot go on
		t.Fatal(err)
	}
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(10*time.Millisecond, func() { cancel(why) })
	if err := c.State(ctx, "a", queue.WordQueued); !errors.Is(err, why) {
		t.Fatalf("%v", err)
	}
	go func() { a.answer(a.read(), &queue.Done{}) }()
	if err := <-stuck; err != nil {
		t.Fatal(err)
	}
	go func() {
		if f := a.read(); f.Type != queue.FrameList {
			t.Errorf("what was given up was asked all the same: %v", f.Type)
		} else {
			a.answer(f, &queue.Entries{})
		}
	}()
	if _, err := c.List(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAnswersFindTheirQuestions: many askers, answers in any order, some of
// them given up; never more than eight questions open.
func TestAnswersFindTheirQuestions(t *testing.T) {
	t.Parallel()
	a, c := connect(t, patient)
	stop := make(chan struct{})
	var agent sync.WaitGroup
	agent.Add(1)
	frames := make(chan queue.Frame, 64)
	go func() {
		for {
			f, err := queue.ReadFrame(a.in)
			if err != nil {
				close(frames)
				return
			}
			frames <- f
		}
	}()
	go func() {
		defer agent.Done()
		for {
			var open []queue.Frame
			select {
			case f, ok := <-frames:
				if !ok {
					return
				}
				open = append(open, f)
			case <-stop:
				return
			}
			for more := true; more; {
				select {
				case f, ok := <-frames:
					if more = ok; ok {
						open = append(open, f)
					}
				case <-time.After(2 * time.Millisecond):
					more = false
				}
			}
			if len(open) > queue.MaxQuestion {
				t.Errorf("%d questions are open", len(open))
			}
			for i := len(open) - 1; i >= 0; i-- { // the last one first
				var w queue.Wait
				_ = queue.Unmarshal(open[i].Payload, &w)
				a.answer(open[i], &queue.Names{Number: w.Seen})
			}
		}
	}()
	var askers sync.WaitGroup
	for i := range 60 {
		askers.Add(1)
		go func() {
			defer askers.Done()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if i%3 == 0 {
				time.AfterFunc(time.Duration(i%5)*time.Millisecond, cancel)
			}
			n, err := c.Wait(ctx, int64(i), time.Second)
			if err == nil && n.Number != int64(i) {
				t.Errorf("question %d got the answer to %d", i, n.Number)
			}
			if err != nil && ctx.Err() == nil {
				t.Errorf("question %d: %v", i, err)
			}
		}()
	}
	askers.Wait()
	for i := range 2 * queue.MaxQuestion { // no slot was lost
		if n, err := c.Wait(t.Context(), int64(i), 0); err != nil || n.Number != int64(i) {
			t.Fatalf("%v, %v", n, err)
		}
	}
	close(stop)
	agent.Wait()
}

// TestAGivenUpQuestionMustBeAnsweredAllTheSame: it counts as open until then.
func TestAGivenUpQuestionMustBeAnsweredAllTheSame(t *testing.T) {
	t.Parallel()
	times := patient
	times.Answer = 100 * time.Millisecond
	a, c := connect(t, times)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { a.read(); cancel() }()
	if err := c.State(ctx, "a", queue.WordQueued); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	over(t, c, ErrProtocol)
}

func TestNamesThatAreNoIDsEndTheConversation(t *testing.T) {
	t.Parallel()
	for _, id := range []string{"../x", "a/b", "a b", "$(x)", "a\n", "a.auth", "", strings.Repeat("x", queue.MaxID+1)} {
		t.Run(fmt.Sprintf("%.20q", id), func(t *testing.T) {
			t.Parallel()
			a, c := connect(t, patient)
			go func() { a.answer(a.read(), &queue.Names{IDs: []string{id}}) }()
			if n, err := c.Wait(t.Context(), 0, 0); !errors.Is(err, ErrProtocol) {
				t.Errorf("%v, %v", n, err)
			}
		})
	}
}
