package poll

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/transport"
	"qvmremote/queue"
	"qvmremote/test/executable"
)

// qube is one whose shell the tests have: a home with a queue, and a qvm-run
// that types the command into bash as the real one does.
type qube struct {
	t      *testing.T
	dir    string // of the programs
	layout queue.Layout
	d      Dialer
}

// typed is qvm-run: COMMAND and "; exit" on a shell's stdin, then what comes.
const typed = `{ printf '%s; exit\n' "${@: -1}"; cat; } | env HOME="$home" bash`

func newQube(t *testing.T) *qube {
	t.Helper()
	dir := t.TempDir()
	q := &qube{t: t, dir: dir, layout: queue.Layout{Root: filepath.Join(dir, "home", queue.FolderName)}}
	if err := os.MkdirAll(filepath.Join(dir, "home"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := q.layout.Make(); err != nil {
		t.Fatal(err)
	}
	times := DefaultTimes()
	times.Fast, times.Again, times.Call = 10*time.Millisecond, 10*time.Millisecond, 20*time.Second
	q.d = Dialer{Caller: transport.Caller{Path: filepath.Join(dir, "qvm-run")}, Account: "user", Times: times, Share: NewShare(2, 0),
		Running: func(context.Context, string) error { return nil }, Legacy: func(string) bool { return false }}
	q.answers(typed)
	return q
}

// answers makes text what qvm-run does; each call leaves a byte in calls.
func (q *qube) answers(text string) {
	q.t.Helper()
	script := "#!/bin/bash\nhome=" + q.dir + "/home\nprintf . >>" + q.dir + "/calls\n" + text + "\n"
	if err := executable.Write(q.d.Caller.Path, []byte(script)); err != nil {
		q.t.Fatal(err)
	}
}

func (q *qube) calls() int {
	b, _ := os.ReadFile(filepath.Join(q.dir, "calls"))
	return len(b)
}

func (q *qube) dial() *conn {
	q.t.Helper()
	c, err := q.d.Dial(q.t.Context(), "work")
	if err != nil {
		q.t.Fatal(err)
	}
	q.t.Cleanup(c.Close)
	return c.(*conn)
}

func (q *qube) write(path, text string) {
	q.t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		q.t.Fatal(err)
	}
}

// request puts one into the queue.
func (q *qube) request(id, header, script string) {
	q.t.Helper()
	q.write(q.layout.Body(id), script)
	q.write(q.layout.Header(id), header)
}

func (q *qube) has(path, want string) {
	q.t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		q.t.Errorf("%s holds %.80q (%v), want %.80q", filepath.Base(path), got, err, want)
	}
}

func (q *qube) hasNot(paths ...string) {
	q.t.Helper()
	for _, path := range paths {
		if _, err := os.Lstat(path); err == nil {
			q.t.Errorf("%s is there", path)
		}
	}
}

// names waits for a look and returns its ids and cancels.
func (q *qube) names(c *conn) (ids, cancels string) {
	q.t.Helper()
	n, err := c.Wait(q.t.Context(), 0, 20*time.Second)
	if err != nil {
		q.t.Fatal(err)
	}
	return strings.Join(n.IDs, " "), strings.Join(n.Cancels, " ")
}
