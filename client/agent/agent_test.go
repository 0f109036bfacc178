package agent_test

import (
	"context"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qvmremote/client/agent"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// peer is an agent under test and dom0's end of its connection.
type peer struct {
	*dom0test.Conn
	queue.Layout
	t     *testing.T
	ctx   context.Context
	in    io.Closer
	ended chan error
}

func waits() agent.Waits {
	w := agent.DefaultWaits()
	w.Settle = 5 * time.Millisecond
	return w
}

func start(t *testing.T, w agent.Waits) *peer {
	t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(stop)
	p := &peer{t: t, ctx: ctx, Layout: queue.Layout{Root: filepath.Join(t.TempDir(), ".qvm-remote")}, ended: make(chan error, 1)}
	ours, theirs := io.Pipe()
	answers, out := io.Pipe()
	go func() {
		err := agent.Run(ctx, p.Layout, ours, out, w)
		out.Close()
		p.ended <- err
	}()
	p.in = theirs
	var err error
	if p.Conn, err = dom0test.Dial(answers, theirs); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { theirs.Close() })
	return p
}

// end waits until the agent has left and returns its error.
func (p *peer) end() error {
	p.t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-p.ctx.Done():
		p.t.Fatal("the agent does not leave")
		return nil
	}
}

func (p *peer) wait(seen, ms int64) *queue.Names {
	p.t.Helper()
	var n queue.Names
	if err := p.Ask(p.ctx, queue.FrameWait, &queue.Wait{Seen: seen, MaxMS: ms}, &n); err != nil {
		p.t.Fatal(err)
	}
	return &n
}

func (p *peer) do(t queue.FrameType, m queue.Message) {
	p.t.Helper()
	if err := p.Do(p.ctx, t, m); err != nil {
		p.t.Fatal(err)
	}
}

// refused asks and wants a failure of the given code.
func (p *peer) refused(t queue.FrameType, m queue.Message, want queue.Code) {
	p.t.Helper()
	var f *queue.Failure
	if err := p.Do(p.ctx, t, m); !errors.As(err, &f) || f.Code != want {
		p.t.Fatalf("answer %v, want a failure of code %d", err, want)
	}
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := queue.Publish(path, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, path, text string) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text, string(b)); diff != "" {
		t.Fatalf("%s: %s", filepath.Base(path), diff)
	}
}

func absent(t *testing.T, paths ...string) {
	t.Helper()
	for _, p := range paths {
		if _, err := os.Lstat(p); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("%s is there (%v)", p, err)
		}
	}
}

func TestHelloKeepsTheNameDom0Knows(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	var h queue.Hello
	if err := p.Ask(p.ctx, queue.FrameHello, &queue.Hello{Version: "2.0.0", Qube: "work"}, &h); err != nil {
		t.Fatal(err)
	}
	if h.Qube != "work" || h.Version != queue.Version || h.Time == 0 {
		t.Fatalf("answer %+v", h)
	}
	want(t, p.Name(), "work")
	if err := p.Ask(p.ctx, queue.FrameHello, &queue.Hello{Qube: "../x"}, &h); err != nil {
		t.Fatal(err)
	}
	want(t, p.Name(), "work")
}

func TestFetchReadsInPiecesAndOnlyFiles(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	body := strings.Repeat("0123456789", queue.Chunk/5)
	put(t, p.Body("a"), body)
	got, err := p.Fetch(p.ctx, "a", queue.PartBody)
	if err != nil || string(got) != body {
		t.Fatalf("fetched %d bytes of %d: %v", len(got), len(body), err)
	}
	var d queue.Data
	if err := p.Ask(p.ctx, queue.FrameFetch, &queue.Fetch{ID: "a", Part: queue.PartBody, Offset: 1 << 40}, &d); err != nil || len(d.Bytes) != 0 {
		t.Fatalf("behind the end: %d bytes, %v", len(d.Bytes), err)
	}
	if err := os.Symlink("/etc/passwd", p.Stdin("a")); err != nil {
		t.Fatal(err)
	}
	p.refused(queue.FrameFetch, &queue.Fetch{ID: "a", Part: queue.PartStdin}, queue.CodeNotRegular)
	p.refused(queue.FrameFetch, &queue.Fetch{ID: "a", Part: queue.PartHeader}, queue.CodeGone)
}

func TestBrokenFramesEndTheAgent(t *testing.T) {
	t.Parallel()
	wait := queue.Marshal(&queue.Wait{Seen: 1, MaxMS: 20_000})
	for name, frames := range map[string][]queue.Frame{
		"an answer":    {{Type: queue.FrameHello | queue.AnswerBit}},
		"an error":     {{Type: queue.FrameError}},
		"a bad id":     {{Type: queue.FrameDeny, Payload: queue.Marshal(&queue.Deny{ID: "../x", Denied: []byte("x")})}},
		"a bad wait":   {{Type: queue.FrameWait, Payload: []byte("x")}},
		"second wait":  {{Type: queue.FrameWait, Payload: wait}, {Type: queue.FrameWait, Payload: wait}},
		"left-overs":   {{Type: queue.FrameList, Payload: []byte{0}}},
		"unknown type": {{Type: 0x33}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, waits())
			for _, f := range frames {
				_ = p.Send(f) // the last may meet an agent that left
			}
			if err := p.end(); !errors.Is(err, queue.ErrFrame) {
				t.Fatalf("the agent left with %v", err)
			}
		})
	}
}

func TestAgentLeavesWhenNobodyAsks(t *testing.T) {
	t.Parallel()
	w := waits()
	w.Unasked = 30 * time.Millisecond
	if err := start(t, w).end(); err != nil {
		t.Fatalf("left with %v", err)
	}
}

func TestAgentLeavesAtTheEndOfItsInput(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	go p.Ask(p.ctx, queue.FrameWait, &queue.Wait{Seen: 1, MaxMS: 60_000}, &queue.Names{})
	p.in.Close()
	if err := p.end(); err != nil {
		t.Fatalf("left with %v", err)
	}
}

func TestHalfAFrameDoesNotHoldTheAgent(t *testing.T) {
	t.Parallel()
	w := waits()
	w.Frame = 30 * time.Millisecond
	p := start(t, w)
	if _, err := p.in.(io.Writer).Write([]byte{0, 0}); err != nil {
		t.Fatal(err)
	}
	if err := p.end(); err != nil {
		t.Fatalf("left with %v", err)
	}
}

// TestReadingDoesNotWaitForWriting asks as much as is allowed, takes no answer,
// and hangs up.
func TestReadingDoesNotWaitForWriting(t *testing.T) {
	t.Parallel()
	w := waits()
	w.Frame = 50 * time.Millisecond
	layout := queue.Layout{Root: filepath.Join(t.TempDir(), ".qvm-remote")}
	ours, theirs := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- agent.Run(context.Background(), layout, ours, out, w) }()
	magic := make([]byte, len(queue.Magic))
	if _, err := io.ReadFull(answers, magic); err != nil || string(magic) != queue.Magic {
		t.Fatalf("began with %q, %v", magic, err)
	}
	for tag := range uint32(queue.MaxQuestion) {
		if err := queue.WriteFrame(theirs, queue.Frame{Type: queue.FrameList, Tag: tag}); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the agent hangs in a write")
	}
}

func TestAgentExecutesNothing(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range f.Imports {
			if i.Path.Value == `"os/exec"` || i.Path.Value == `"plugin"` {
				t.Errorf("%s imports %s", name, i.Path.Value)
			}
		}
	}
}
