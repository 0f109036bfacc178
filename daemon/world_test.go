package daemon

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/paths"
	"qvmremote/daemon/qubes"
	"qvmremote/daemon/transport"
	"qvmremote/daemon/transport/poll"
)

// world is a dom0 in a folder of its own.
type world struct {
	t    *testing.T
	o    Options
	said *journal
}

type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

func newWorld(t *testing.T, qubes ...*testQube) *world {
	t.Helper()
	w := &world{t: t, said: &journal{}}
	w.o = Options{Root: paths.Root(t.TempDir()), Environ: []string{"QVM_REMOTE_STOP_WAIT=0", "QVM_REMOTE_SPOOL_FREE=0"},
		Path: "/usr/bin:/bin", Now: time.Now, Times: quick(), Log: slog.New(slog.NewTextHandler(w.said, nil))}
	for _, q := range qubes {
		w.o.VMs = append(w.o.VMs, q.name)
		w.placeKey(q)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dom0 said:\n%s", w.said)
		}
	})
	return w
}

// quickPoll are the waits of polling as tests want them.
func quickPoll() poll.Times {
	t := poll.DefaultTimes()
	t.Fast, t.Apart, t.Again, t.Call = 20*time.Millisecond, time.Millisecond, 20*time.Millisecond, 10*time.Second
	return t
}

func quick() Times {
	return Times{
		Transport: transport.Times{Magic: 15 * time.Second, Frame: 10 * time.Second, Answer: 10 * time.Second, Shutdown: 200 * time.Millisecond},
		Poll:      quickPoll(),
		Events:    qubes.DefaultTimes(), // there is no socket
		Wait:      20 * time.Second, Power: 50 * time.Millisecond, Quiet: 10 * time.Millisecond, Backoff: 10 * time.Millisecond,
		MaxPause: 100 * time.Millisecond, NoAgent: time.Second, Skip: time.Minute, Paused: 20 * time.Millisecond, Calm: 50 * time.Millisecond,
		Retry: 10 * time.Millisecond, MaxRetry: 200 * time.Millisecond, Farewell: time.Second, GiveUp: time.Hour, Tidy: time.Hour,
	}
}

// placeKey puts a qube's key where an administrator's editor would.
func (w *world) placeKey(q *testQube) {
	w.t.Helper()
	dir := w.o.Root.Keys()
	err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, q.name+".key"), append(q.key.Reveal(), '\n'), 0o600),
		os.WriteFile(filepath.Join(dir, q.name+".policy"), []byte("allow **\n"), 0o600))
	if err != nil {
		w.t.Fatal(err)
	}
}

// start runs the daemon until the returned function is called, which returns
// what Run did.
func (w *world) start() (stop func() error) {
	w.t.Helper()
	return w.runs(func(ctx context.Context) error { return Run(ctx, w.o) })
}

// startAfter is start, with something done between the daemon's opening of its
// files and its work on them.
func (w *world) startAfter(meanwhile func()) (stop func() error) {
	w.t.Helper()
	x, err := open(context.Background(), w.o)
	meanwhile()
	return w.runs(func(ctx context.Context) error {
		if err != nil {
			return err
		}
		defer x.goodbye(ctx)
		return errors.Join(x.serve(ctx), x.close())
	})
}

func (w *world) runs(daemon func(context.Context) error) (stop func() error) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- daemon(ctx) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(time.Minute):
			return errors.New("the daemon does not stop")
		}
	})
	w.t.Cleanup(func() {
		if err := stop(); err != nil {
			w.t.Errorf("the daemon ended with %v", err)
		}
	})
	return stop
}

func (w *world) records() []audit.Record {
	w.t.Helper()
	all, err := audit.ReadLast(context.Background(), string(w.o.Root.Audit()), 100_000)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	return all
}

// count is how many records of an event there are about an id, or all with "".
func (w *world) count(e audit.Event, id string) (n int) {
	for _, r := range w.records() {
		if r.Event == e && (id == "" || r.ID == id) {
			n++
		}
	}
	return n
}

// eventually waits until what is recorded, or lies about, is as it should be.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for until := time.Now().Add(time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) {
			w.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// spooled is how many requests have a folder.
func (w *world) spooled() int {
	entries, _ := os.ReadDir(w.o.Root.Spool())
	return len(entries)
}
