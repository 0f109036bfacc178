package standing

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/agent"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

// patience is how long a test waits for what should be told soon.
const patience = time.Minute

// followed is a queue, and what was told of it last.
type followed struct {
	*client.Client
	t     *testing.T
	asked Bell
	mu    sync.Mutex
	now   Standing
	told  int
	news  chan struct{}
}

func follow(t *testing.T) *followed {
	t.Helper()
	return followIn(t, t.TempDir(), DefaultPaces())
}

func followIn(t *testing.T, home string, p Paces) *followed {
	t.Helper()
	asked := NewBell()
	f := &followed{Client: client.New(filepath.Join(home, queue.FolderName)), t: t, asked: asked, news: make(chan struct{}, 1)}
	f.Database = func(context.Context, string) (string, error) { return "work", nil }
	p.Rest, p.Trouble, p.Asked = 10*time.Millisecond, 20*time.Millisecond, asked
	ctx, stop := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		Follow(ctx, f.Client, p, func(s Standing) {
			f.mu.Lock()
			f.now = s
			f.told++
			f.mu.Unlock()
			select {
			case f.news <- struct{}{}:
			default:
			}
		})
	}()
	t.Cleanup(func() { stop(); done.Wait() })
	f.becomes("the first look", func(s Standing) bool { return f.count() > 0 })
	return f
}

func (f *followed) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.told
}

// becomes waits until it is told so.
func (f *followed) becomes(what string, so func(Standing) bool) {
	f.t.Helper()
	late := time.After(patience)
	for {
		f.mu.Lock()
		now := f.now
		told := f.told
		f.mu.Unlock()
		if told > 0 && so(now) {
			return
		}
		select {
		case <-f.news:
		case <-late:
			f.t.Fatalf("%s is not told; last was %+v", what, now)
		}
	}
}

// serve has an agent serve the queue until stop is called.
func (f *followed) serve() (stop func()) {
	f.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ours, questions := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = agent.Run(ctx, f.Layout, ours, out, agent.DefaultWaits())
		out.Close()
		ours.Close()
	}()
	conn, err := dom0test.Dial(answers, questions)
	if err != nil {
		f.t.Fatal(err)
	}
	d := &dom0test.Dom0{Qube: "work"}
	go func() { _ = d.Serve(ctx, conn) }()
	stop = sync.OnceFunc(func() { cancel(); questions.Close(); <-ended })
	f.t.Cleanup(stop)
	return stop
}

func TestItIsToldOfAKey(t *testing.T) {
	t.Parallel()
	f := follow(t)
	f.becomes("no key", func(s Standing) bool { return s.Trouble == nil && !s.HasKey() && s.KeyProblem == nil })
	k, err := f.GenerateKey(false)
	if err != nil {
		t.Fatal(err)
	}
	f.becomes("the key", func(s Standing) bool { return s.Fingerprint == k.Fingerprint() && !s.KeySince.IsZero() })
	if err := os.WriteFile(f.Layout.Key(), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	f.becomes("a key that cannot be used", func(s Standing) bool { return !s.HasKey() && s.KeyProblem != nil })
	if err := os.Remove(f.Layout.Key()); err != nil {
		t.Fatal(err)
	}
	f.becomes("no key again", func(s Standing) bool { return !s.HasKey() && s.KeyProblem == nil })
}

// TestItIsToldWhetherDom0Looks, by an agent or by a look of a poll, each time.
func TestItIsToldWhetherDom0Looks(t *testing.T) {
	t.Parallel()
	f := follow(t)
	for range 3 {
		stop := f.serve()
		f.becomes("an agent", func(s Standing) bool { return s.Connected && s.Qube == "work" })
		stop()
		f.becomes("no agent", func(s Standing) bool { return !s.Connected })
	}
	if err := os.WriteFile(f.Layout.LastLook(), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f.becomes("a look", func(s Standing) bool { return s.Connected && !s.LastLook.IsZero() })
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(f.Layout.LastLook(), long, long); err != nil {
		t.Fatal(err)
	}
	f.becomes("an old look", func(s Standing) bool { return !s.Connected && !s.LastLook.IsZero() })
}

// TestATroubleHealsByItself: a folder that went, and one that is none.
func TestATroubleHealsByItself(t *testing.T) {
	t.Parallel()
	f := follow(t)
	if _, err := f.GenerateKey(false); err != nil {
		t.Fatal(err)
	}
	f.becomes("a key", Standing.HasKey)
	away := f.Layout.Root + "-away"
	if err := os.Rename(f.Layout.Root, away); err != nil {
		t.Fatal(err)
	}
	f.becomes("no key in the folder that was made again", func(s Standing) bool { return !s.HasKey() && s.Trouble == nil })
	instead := func(put func() error) { // the folder may be made once more meanwhile, and filled
		t.Helper()
		var err error
		for range 1000 {
			_ = os.RemoveAll(f.Layout.Root)
			if err = put(); err == nil {
				return
			}
		}
		t.Fatal(err)
	}
	instead(func() error { return os.WriteFile(f.Layout.Root, nil, 0o600) })
	f.becomes("the trouble", func(s Standing) bool { return s.Trouble != nil && strings.Contains(s.Trouble.Error(), "not a folder") })
	instead(func() error { return os.Rename(away, f.Layout.Root) })
	f.becomes("the key again", func(s Standing) bool { return s.HasKey() && s.Trouble == nil })
}

// TestNothingIsToldWhileNothingChanges: what it does to look is no change.
func TestNothingIsToldWhileNothingChanges(t *testing.T) {
	t.Parallel()
	f := follow(t)
	if _, err := f.GenerateKey(false); err != nil {
		t.Fatal(err)
	}
	f.serve()
	f.becomes("an agent", func(s Standing) bool { return s.Connected && s.HasKey() })
	before := f.count()
	for range 20 { // looks of somebody else
		f.Connected()
		_, _ = f.Key()
	}
	if err := f.ImportKey(queue.GenerateKey()); err != nil { // a change, behind them
		t.Fatal(err)
	}
	f.becomes("the change", func(Standing) bool { return f.count() > before })
	if n := f.count() - before; n > 2 {
		t.Errorf("it was told %d times", n)
	}
}

func TestItIsToldOfVersion1(t *testing.T) {
	t.Parallel()
	c := client.New(filepath.Join(t.TempDir(), queue.FolderName))
	c.Database = func(context.Context, string) (string, error) { return "work", nil }
	c.Legacy = true
	if s := (&follower{client: c}).look(t.Context()); !s.Legacy || s.Connected || s.Trouble != nil {
		t.Errorf("%+v", s)
	}
}
