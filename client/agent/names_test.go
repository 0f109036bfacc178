package agent_test

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"qvmremote/queue"
)

func TestWaitAnswersWhenAHeaderArrives(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	first := p.wait(0, 60_000) // a new connection gets its number at once
	answer := make(chan *queue.Names, 1)
	go func() {
		var n queue.Names
		if p.Ask(p.ctx, queue.FrameWait, &queue.Wait{Seen: first.Number, MaxMS: 60_000}, &n) == nil {
			answer <- &n
		}
	}()
	put(t, p.Body("a"), "true\n")
	select {
	case n := <-answer:
		t.Fatalf("a script without its header brought %+v", n)
	case <-time.After(20 * time.Millisecond):
	}
	put(t, p.Header("a"), "x")
	select {
	case n := <-answer:
		if diff := cmp.Diff([]string{"a"}, n.IDs); diff != "" {
			t.Fatal(diff)
		}
	case <-p.ctx.Done():
		t.Fatal("no answer")
	}
}

func TestNumberChangesOnlyWithNewNamesAndNewHeaders(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	for _, id := range []string{"a", "b"} {
		put(t, p.Header(id), "x")
	}
	n := p.wait(0, 0)
	same := func(what string) {
		t.Helper()
		if got := p.wait(n.Number, 0); got.Number != n.Number {
			t.Fatalf("%s changed the number", what)
		}
	}
	same("nothing")
	put(t, p.Body("a"), "later")
	same("a body")
	if err := os.Remove(p.Header("b")); err != nil {
		t.Fatal(err)
	}
	same("a removal")
	put(t, p.Header("a"), "y")
	if got := p.wait(n.Number, 0); got.Number == n.Number {
		t.Fatal("another header under the same name went unseen")
	}
	n = p.wait(0, 0)
	put(t, p.Cancel("a"), "x")
	got := p.wait(n.Number, 0)
	if got.Number == n.Number || cmp.Diff([]string{"a"}, got.Cancels) != "" {
		t.Fatalf("the cancel went unseen: %+v", got)
	}
}

func TestOnlyFilesNamedByIDsAreReported(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	put(t, p.Header("good"), "x")
	for _, name := range []string{"a b", "x\x1b[2J", "-x", "a..b", "\nx", "$(id)", ".hidden"} {
		put(t, p.Header(name), "x")
	}
	if err := os.Symlink(p.Header("good"), p.Header("link")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(p.Header("fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.Header("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"good"}, p.wait(0, 0).IDs); diff != "" {
		t.Fatal(diff)
	}
	var e queue.Entries
	if err := p.Ask(p.ctx, queue.FrameList, &queue.List{}, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.List) != 1 || e.List[0].Name != "good.auth" || e.More != 10 {
		t.Fatalf("listed %+v and %d more", e.List, e.More)
	}
}

func TestManyNamesAreBoundedCancelsFirst(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	if err := p.Layout.Make(); err != nil {
		t.Fatal(err)
	}
	for i := range 2*queue.MaxNames + 50 {
		if err := os.WriteFile(p.Header(fmt.Sprintf("r%05d", i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 3 {
		put(t, p.Cancel(fmt.Sprintf("c%d", i)), "x")
	}
	n := p.wait(0, 0)
	if len(n.Cancels) != 3 || len(n.IDs) != queue.MaxNames-3 || n.IDs[0] != "r00000" {
		t.Fatalf("%d cancels, %d ids from %s on", len(n.Cancels), len(n.IDs), n.IDs[0])
	}
	var e queue.Entries
	if err := p.Ask(p.ctx, queue.FrameList, &queue.List{}, &e); err != nil {
		t.Fatal(err)
	}
	if len(e.List) != queue.MaxNames || e.More != queue.MaxNames+53 {
		t.Fatalf("listed %d and %d more", len(e.List), e.More)
	}
}

// locked reports whether someone holds the agent's lock, as the client asks.
func locked(t *testing.T, l queue.Layout) bool {
	f, _, err := queue.OpenRegular(l.AgentLock())
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == syscall.EWOULDBLOCK
}

func TestAgentSurvivesTheQueueBeingReplaced(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	n := p.wait(0, 0)
	answer := make(chan *queue.Names, 1)
	go func() {
		var n2 queue.Names
		if p.Ask(p.ctx, queue.FrameWait, &queue.Wait{Seen: n.Number, MaxMS: 60_000}, &n2) == nil {
			answer <- &n2
		}
	}()
	if err := os.Rename(filepath.Dir(p.PendingDir()), filepath.Join(p.Root, "aside")); err != nil {
		t.Fatal(err)
	}
	for i := 0; !locked(t, p.Layout); i++ {
		if p.ctx.Err() != nil {
			t.Fatal("the queue was not made again")
		}
		time.Sleep(time.Millisecond)
	}
	put(t, p.Header("after"), "x")
	select {
	case n := <-answer:
		if diff := cmp.Diff([]string{"after"}, n.IDs); diff != "" {
			t.Fatal(diff)
		}
	case <-p.ctx.Done():
		t.Fatal("no answer from the new queue")
	}
	if err := os.RemoveAll(filepath.Dir(p.PendingDir())); err != nil {
		t.Fatal(err)
	}
	p.do(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stdout, Bytes: []byte("kept")})
	want(t, p.Result("a", queue.Out), "kept")
}

func TestLockEndsWithTheAgent(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	if !locked(t, p.Layout) {
		t.Fatal("an agent that serves does not hold its lock")
	}
	p.in.Close()
	if err := p.end(); err != nil {
		t.Fatal(err)
	}
	if locked(t, p.Layout) {
		t.Fatal("the lock outlived the agent")
	}
}
