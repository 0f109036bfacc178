package e2e

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
	"qvmremote/test/sim"
)

// qube is a qube of a house, with what its user may read and do.
type qube struct {
	*sim.Qube
	h      *house
	t      *testing.T
	layout queue.Layout
	key    queue.Key
}

// in gives the same qube to a subtest.
func (q *qube) in(t *testing.T) *qube {
	own := *q
	house := *q.h
	house.t = t
	own.t, own.h = t, &house
	return &own
}

func (q *qube) keyFile() string { return filepath.Join(q.h.root.Keys(), q.Name+".key") }

// authorise puts the qube's key where dom0 looks for it, as an administrator
// may do by hand.
func (q *qube) authorise() {
	q.t.Helper()
	must(q.t, os.MkdirAll(q.h.root.Keys(), 0o700))
	q.rules("allow **\n")
	fresh := filepath.Join(q.h.root.Keys(), ".new-"+q.Name)
	write(q.t, fresh, string(q.key.Reveal()))
	must(q.t, os.Rename(fresh, q.keyFile()))
}

// rules writes the qube's policy, as an editor does.
func (q *qube) rules(text string) {
	q.t.Helper()
	fresh := filepath.Join(q.h.root.Keys(), ".new-"+q.Name+"-policy")
	write(q.t, fresh, text)
	must(q.t, os.Rename(fresh, filepath.Join(q.h.root.Keys(), q.Name+".policy")))
}

// revoke takes the key away, with all that dom0 knows beside it.
func (q *qube) revoke() {
	q.t.Helper()
	must(q.t, os.Remove(q.keyFile()))
	if err := os.Remove(strings.TrimSuffix(q.keyFile(), ".key") + ".meta"); !errors.Is(err, os.ErrNotExist) {
		must(q.t, err)
	}
}

// ran is how a program in the qube ended.
type ran struct {
	code     int
	out, err string
}

// run runs qvm-remote in the qube to its end.
func (q *qube) run(args ...string) ran { q.t.Helper(); return q.pipe("", args...) }

// pipe is run with standard input.
func (q *qube) pipe(stdin string, args ...string) ran {
	q.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	defer cancel()
	cmd := q.Command(ctx, append([]string{"qvm-remote"}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	return ran{exitCode(q.t, cmd.Run()), out.String(), errs.String()}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if err != nil {
		return exit.ExitCode()
	}
	return 0
}

// works fails the test unless a command runs for this qube now.
func (q *qube) works() {
	q.t.Helper()
	if r := q.run("echo", "all", "well"); r.code != 0 || r.out != "all well\n" {
		q.t.Errorf("%s: a plain command: %+v", q.Name, r)
	}
}

// going is a qvm-remote that runs in the qube.
type going struct {
	q        *qube
	cmd      *exec.Cmd
	out, err said
	done     chan struct{}
	code     int
}

// begin starts qvm-remote in the qube and goes on.
func (q *qube) begin(args ...string) *going {
	q.t.Helper()
	g := &going{q: q, cmd: q.Command(context.Background(), append([]string{"qvm-remote"}, args...)...), done: make(chan struct{})}
	g.cmd.Stdout, g.cmd.Stderr, g.cmd.WaitDelay = &g.out, &g.err, patience
	must(q.t, g.cmd.Start())
	go func() {
		defer close(g.done)
		_ = g.cmd.Wait()
		g.code = g.cmd.ProcessState.ExitCode()
	}()
	q.t.Cleanup(func() {
		_ = g.cmd.Process.Kill()
		<-g.done
	})
	return g
}

// end waits for the program to end.
func (g *going) end() ran {
	g.q.t.Helper()
	select {
	case <-g.done:
	case <-time.After(patience):
		g.q.t.Fatalf("still running; out %q, err %q", g.out.String(), g.err.String())
	}
	return ran{g.code, g.out.String(), g.err.String()}
}

// interrupt is Ctrl-C.
func (g *going) interrupt() { _ = g.cmd.Process.Signal(syscall.SIGINT) }

// submission is a request that a test makes byte by byte.
type submission struct {
	queue.Request
	key    queue.Key
	script string // what lies in the queue; Body says what was signed
	stdin  string
	header []byte // what lies in the queue
}

// craft makes a request as the client would, dated by dom0's clock.
func (q *qube) craft(script string) *submission {
	s := &submission{key: q.key, script: script}
	now := q.h.now()
	s.Request = queue.Request{Kind: queue.KindScript, ID: queue.NewID(now, os.Getpid()), Qube: q.Name,
		Issued: now.Unix(), Expires: now.Unix() + 300, Timeout: 60, Body: queue.SumOf([]byte(script))}
	return s.sign()
}

// sign makes the header fit the request again.
func (s *submission) sign() *submission {
	s.header = s.Sign(s.key.RequestKey())
	return s
}

// put publishes a request. It goes into the client's history too, so that the
// client can be asked for the answer.
func (q *qube) put(s *submission) *submission {
	q.t.Helper()
	folder := q.layout.HistoryOf(time.Now(), s.ID)
	write(q.t, filepath.Join(folder, "request"), string(s.Sign(s.key.RequestKey())))
	write(q.t, filepath.Join(folder, "command"), s.script)
	q.again(s)
	return s
}

// again publishes the same files once more.
func (q *qube) again(s *submission) {
	q.t.Helper()
	if s.Stdin.Present {
		must(q.t, queue.Publish(q.layout.Stdin(s.ID), []byte(s.stdin)))
	}
	must(q.t, queue.Publish(q.layout.Body(s.ID), []byte(s.script)))
	must(q.t, queue.Publish(q.layout.Header(s.ID), s.header))
}

// answered waits for the end of a request and returns what the client says.
func (q *qube) answered(id string) ran { q.t.Helper(); return q.run("wait", id) }

// refused fails the test unless qube, log and audit trail all name the reason.
func (q *qube) refused(id string, why queue.Reason) {
	q.t.Helper()
	path := q.layout.Result(id, queue.Denied)
	await(q.t, "a denial of "+id+" for "+string(why), func() bool { return exists(path) })
	b, err := os.ReadFile(path)
	must(q.t, err)
	if word, _, _ := strings.Cut(string(b), "\n"); word != string(why) {
		q.t.Errorf("denied for %q, want %s", b, why)
	}
	q.logged(id, why)
}

// logged fails the test unless log and audit trail name the refusal.
func (q *qube) logged(id string, why queue.Reason) {
	q.t.Helper()
	await(q.t, "an audit record that "+id+" was refused for "+string(why), func() bool {
		for _, r := range q.h.records() {
			named := r.Reason == string(why) || r.Event == audit.Replayed && why == queue.Replayed
			if r.ID == id && r.Qube == q.Name && named {
				return true
			}
		}
		return false
	})
	await(q.t, "a line in dom0's log", func() bool {
		for _, line := range strings.Split(q.h.log(), "\n") {
			if strings.Contains(line, "id="+id+" ") && strings.Contains(line, string(why)) {
				return true
			}
		}
		return false
	})
}

// taken waits until dom0 has everything of a request.
func (q *qube) taken(id string) {
	q.t.Helper()
	await(q.t, id+" to leave the queue", func() bool { return !exists(q.layout.Header(id)) })
}
