package agent_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"qvmremote/queue"
)

func finish(id string) *queue.Finish {
	return &queue.Finish{ID: id, OutSize: 5, Meta: []byte("m"), Auth: []byte("signed"), Exit: "0", Log: "id=" + id + "\x1b\ndone"}
}

func TestFirstStateTakesTheRequestOutOfTheQueue(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	files := []string{p.Body("a"), p.Header("a"), p.Stdin("a")}
	for _, f := range files {
		put(t, f, "x")
	}
	p.do(queue.FrameState, &queue.SetState{ID: "a", Word: queue.WordQueued})
	want(t, p.Running("a"), "queued")
	absent(t, files...)
	put(t, p.Header("a"), "a copy put back")
	p.do(queue.FrameState, &queue.SetState{ID: "a", Word: queue.WordRunning})
	want(t, p.Running("a"), "running")
	want(t, p.Header("a"), "a copy put back") // dom0 has to see it
}

// TestCopyOfAnOldClient: what a version-1 client keeps for its history goes with
// a refusal only.
func TestCopyOfAnOldClient(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	for _, id := range []string{"ran", "denied", "refused"} {
		put(t, p.Header(id), "x")
		put(t, p.Body(id+".cmd"), "x")
	}
	p.do(queue.FrameState, &queue.SetState{ID: "ran", Word: queue.WordQueued})
	p.do(queue.FrameFinish, &queue.Finish{ID: "ran", Exit: "0"})
	want(t, p.Body("ran.cmd"), "x")
	p.do(queue.FrameFinish, &queue.Finish{ID: "denied", Denied: []byte("no\n")})
	p.do(queue.FrameDeny, &queue.Deny{ID: "refused", Denied: []byte("no\n")})
	absent(t, p.Body("denied.cmd"), p.Body("refused.cmd"))
}

func TestFinishCutsAndDelivers(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	p.do(queue.FrameState, &queue.SetState{ID: "a", Word: queue.WordRunning})
	p.do(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stdout, Bytes: []byte("hello, old tail")})
	put(t, p.Cancel("a"), "x")
	p.do(queue.FrameFinish, finish("a"))
	want(t, p.Result("a", queue.Out), "hello")
	want(t, p.Result("a", queue.Err), "")
	want(t, p.Result("a", queue.Auth), "signed")
	want(t, p.Result("a", queue.Exit), "0")
	want(t, p.AuditLog(), "id=a  done\n")
	absent(t, p.Running("a"), p.Cancel("a"))

	p.do(queue.FrameFinish, finish("a"))
	want(t, p.AuditLog(), "id=a  done\n") // not once more

	shorter := finish("b")
	p.refused(queue.FrameFinish, shorter, queue.CodeFailed) // never written
	absent(t, p.Result("b", queue.Exit))
}

// TestTheMarkOfTheEndComesLast lets one step after the other fail.
func TestTheMarkOfTheEndComesLast(t *testing.T) {
	t.Parallel()
	for _, blocked := range []string{queue.Out, queue.Err, queue.Meta, queue.Auth} {
		p := start(t, waits())
		p.do(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stdout, Bytes: []byte("hello")})
		if err := os.RemoveAll(p.Result("a", blocked)); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(p.Result("a", blocked), "x"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := p.Do(p.ctx, queue.FrameFinish, finish("a")); err == nil {
			t.Fatalf("a folder at %s was no failure", blocked)
		}
		absent(t, p.Result("a", queue.Exit), p.AuditLog())
	}
}

func TestFinishedAnswerInTheHistoryIsNotDeliveredAgain(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	folder := filepath.Join(p.History(), "2026-11-23", "a")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(folder, "result"), "signed")
	p.do(queue.FrameFinish, finish("a"))
	absent(t, p.Result("a", queue.Exit), p.Result("a", queue.Out))
}

func TestADenialFinishesWithoutExit(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	put(t, p.Result("a", queue.Exit), "0") // someone else's
	p.do(queue.FrameFinish, &queue.Finish{ID: "a", Auth: []byte("signed"), Denied: []byte("no-approver\nNo.\n")})
	want(t, p.Result("a", queue.Denied), "no-approver\nNo.\n")
	absent(t, p.Result("a", queue.Exit), p.Result("a", queue.Out))
}

func TestDenyNeverHidesAnAnswer(t *testing.T) {
	t.Parallel()
	deny := func(id string) *queue.Deny {
		return &queue.Deny{ID: id, Auth: []byte("signed"), Denied: []byte("replayed\nNo.\n"), Log: "id=" + id}
	}
	for name, hold := range map[string]func(*peer){
		"running": func(p *peer) { p.do(queue.FrameState, &queue.SetState{ID: "a", Word: queue.WordRunning}) },
		"results": func(p *peer) { put(t, p.Result("a", queue.Exit), "0") },
		"history": func(p *peer) {
			folder := filepath.Join(p.History(), "2026-11-23", "a")
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			put(t, filepath.Join(folder, "exit"), "0")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, waits())
			p.wait(0, 0)
			hold(p)
			put(t, p.Header("a"), "copy")
			p.do(queue.FrameDeny, deny("a"))
			absent(t, p.Header("a"), p.Result("a", queue.Denied), p.AuditLog())
		})
	}
	t.Run("nothing held", func(t *testing.T) {
		t.Parallel()
		p := start(t, waits())
		put(t, p.Header("a"), "x")
		put(t, p.Body("a"), "x")
		folder := filepath.Join(p.History(), "2026-11-23", "a")
		if err := os.MkdirAll(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		put(t, filepath.Join(folder, "request"), "x") // the client's own copy is no answer
		p.do(queue.FrameDeny, deny("a"))
		absent(t, p.Header("a"), p.Body("a"))
		want(t, p.Result("a", queue.Denied), "replayed\nNo.\n")
		want(t, p.Result("a", queue.Auth), "signed")
		p.do(queue.FrameDeny, deny("a"))
		want(t, p.AuditLog(), "id=a\n")
	})
}

func TestWriteIsBoundedAndNeverFollowsALink(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	p.do(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stderr, Bytes: []byte("one two")})
	p.do(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stderr, Offset: 4, Bytes: []byte("two three")})
	want(t, p.Result("a", queue.Err), "one two three")
	p.refused(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stdout, Offset: queue.MaxOutput + 1<<10, Bytes: []byte("x")}, queue.CodeFailed)
	p.refused(queue.FrameWrite, &queue.Write{ID: "a", Stream: queue.Stdout, Offset: 1<<63 - 1, Bytes: []byte("x")}, queue.CodeFailed)
	p.refused(queue.FrameWrite, &queue.Write{ID: "c", Stream: queue.Stdout, Offset: 1, Bytes: []byte("behind a hole")}, queue.CodeFailed)
	target := filepath.Join(t.TempDir(), "target")
	put(t, target, "mine")
	if err := os.Symlink(target, p.Result("b", queue.Out)); err != nil {
		t.Fatal(err)
	}
	p.refused(queue.FrameWrite, &queue.Write{ID: "b", Stream: queue.Stdout, Bytes: []byte("x")}, queue.CodeNotRegular)
	want(t, target, "mine")
}

func TestCleanRemovesOneFile(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	for folder, path := range map[queue.Folder]string{
		queue.FolderPending: p.Header("a"), queue.FolderRunning: p.Running("a"), queue.FolderResults: p.Result("a", queue.Out),
		queue.FolderCancel: p.Cancel("a"), queue.FolderStdin: p.Stdin("a"),
	} {
		put(t, path, "x")
		p.do(queue.FrameClean, &queue.Clean{Folder: folder, Name: filepath.Base(path)})
		absent(t, path)
		p.do(queue.FrameClean, &queue.Clean{Folder: folder, Name: filepath.Base(path)})
	}
}

func TestListShowsWordsThatAreWordsOnly(t *testing.T) {
	t.Parallel()
	p := start(t, waits())
	put(t, p.Running("a"), "approval")
	put(t, p.Running("b"), "\x1b[2J"+strings.Repeat("x", 100))
	put(t, p.Running("c"), "\x1b[2J")
	var e queue.Entries
	if err := p.Ask(p.ctx, queue.FrameList, &queue.List{}, &e); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, x := range e.List {
		got[x.Name] = x.Word
	}
	if len(got) != 3 || got["a"] != "approval" || got["b"] != "" || got["c"] != "" {
		t.Fatalf("words %q", got)
	}
}
