package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"qvmremote/client"
	"qvmremote/client/dom0test"
	"qvmremote/queue"
)

func TestOutputComesWhileTheCommandRuns(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	serve(t, c, &dom0test.Dom0{})
	gate := filepath.Join(t.TempDir(), "gate")
	ticket := submit(t, c, client.Request{Script: []byte("echo one; while [ ! -e " + gate + " ]; do sleep 0.01; done; echo two; exit 3")})
	out := until("one\n")
	go func() {
		<-out.done
		_ = os.WriteFile(gate, nil, 0o600)
	}()
	o, err := c.Wait(limited(t), ticket, client.Events{Stdout: out})
	if err != nil || o.Exit != 3 || o.State != queue.StateExit || !o.Signed || out.String() != "one\ntwo\n" {
		t.Fatalf("%+v, %v, output %q", o, err, out)
	}
	emptyQueue(t, c)
}

func TestAShortCommandNeedsNoWatch(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Waits.Brief, c.Waits.Tick = time.Hour, time.Hour
	serve(t, c, &dom0test.Dom0{})
	ticket := submit(t, c, client.Request{Script: []byte("echo short")})
	out := until("")
	if o, err := c.Wait(limited(t), ticket, client.Events{Stdout: out}); err != nil || o.Exit != 0 || out.String() != "short\n" {
		t.Fatalf("%+v, %v, output %q", o, err, out)
	}
}

func TestQueueRemovedWhileWaiting(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	serve(t, c, &dom0test.Dom0{})
	gate := filepath.Join(t.TempDir(), "gate")
	ticket := submit(t, c, client.Request{Script: []byte("echo begun; while [ ! -e " + gate + " ]; do sleep 0.01; done; echo more; exit 4")})
	out := until("begun")
	go func() {
		<-out.done
		_ = os.Rename(filepath.Dir(c.Layout.PendingDir()), filepath.Join(c.Layout.Root, "aside"))
		_ = os.WriteFile(gate, nil, 0o600)
	}()
	o, err := c.Wait(limited(t), ticket, client.Events{Stdout: out})
	if err != nil || o.Exit != 4 || out.String() != "begun\nmore\n" {
		t.Fatalf("%+v, %v, output %q", o, err, out)
	}
}

func TestEveryStateHasItsExitCode(t *testing.T) {
	t.Parallel()
	for state, want := range map[queue.State]int{queue.StateExit: 7, queue.StateTimeout: 124, queue.StateCancelled: 130,
		queue.StateInterrupted: 125, queue.StateDenied: 126} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			ticket := submit(t, c, client.Request{Script: []byte("x")})
			a := answer(t, c, ticket)
			a.exit = "0" // not signed, so not believed
			a.r.State = state
			if state == queue.StateDenied {
				a.refuse(queue.Limit)
			}
			a.put(t)
			o, err := c.Wait(limited(t), ticket, client.Events{})
			if err != nil || o.Exit != want || o.State != state || !o.Signed {
				t.Fatalf("%+v, %v", o, err)
			}
			if past := c.History(1)[0]; past.State != state || past.Exit != want || !past.Signed {
				t.Fatalf("history %+v", past)
			}
			again, err := c.Ticket(ticket.ID)
			if err != nil {
				t.Fatal(err)
			}
			if o2, err := c.Wait(limited(t), again, client.Events{}); err != nil || o2 != o {
				t.Fatalf("the second time: %+v, %v", o2, err)
			}
		})
	}
}

func TestOnlyWhatDom0SignedForThisRequestIsBelieved(t *testing.T) {
	t.Parallel()
	for name, alter := range map[string]func(*testing.T, *answerOf){
		"other key":       func(_ *testing.T, a *answerOf) { a.key = queue.GenerateKey() },
		"other id":        func(_ *testing.T, a *answerOf) { a.r.ID = "other" },
		"other request":   func(_ *testing.T, a *answerOf) { a.r.Request[0] ^= 1 },
		"changed stdout":  func(_ *testing.T, a *answerOf) { a.out[0] ^= 1 },
		"changed stderr":  func(_ *testing.T, a *answerOf) { a.err = append([]byte("x"), a.err...) },
		"shorter stdout":  func(_ *testing.T, a *answerOf) { a.out = a.out[:1] },
		"changed denial":  func(_ *testing.T, a *answerOf) { a.refuse(queue.Limit); a.denied = []byte("limit\nAll is well.\n") },
		"huge sum":        func(_ *testing.T, a *answerOf) { a.r.Out.Size = 1 << 50 },
		"no header":       func(t *testing.T, a *answerOf) { put(t, a, queue.Auth, nil) },
		"endless header":  func(t *testing.T, a *answerOf) { put(t, a, queue.Auth, make([]byte, 1<<20)) },
		"stdout a link":   func(t *testing.T, a *answerOf) { link(t, a, queue.Out) },
		"stdout a fifo":   func(t *testing.T, a *answerOf) { fifo(t, a, queue.Out) },
		"header a fifo":   func(t *testing.T, a *answerOf) { fifo(t, a, queue.Auth) },
		"denial a fifo":   func(t *testing.T, a *answerOf) { a.refuse(queue.Limit); fifo(t, a, queue.Denied) },
		"gigantic stdout": func(t *testing.T, a *answerOf) { sparse(t, a, queue.Out) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newQube(t)
			ticket := submit(t, c, client.Request{Script: []byte("x")})
			a := answer(t, c, ticket)
			alter(t, a)
			a.put(t)
			var out counter
			o, err := c.Wait(limited(t), ticket, client.Events{Stdout: &out})
			wantError(t, err, client.ErrBadResult)
			if o.Exit != 0 || o.State != "" || out > queue.MaxOutput+1<<10 {
				t.Fatalf("outcome %+v, %d bytes shown", o, out)
			}
		})
	}
}

type counter int64

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func put(t *testing.T, a *answerOf, ending string, b []byte) {
	t.Helper()
	if err := queue.Publish(a.c.Layout.Result(a.t.ID, ending), b); err != nil {
		t.Fatal(err)
	}
}

// link puts a link to a file with the right content.
func link(t *testing.T, a *answerOf, ending string) {
	t.Helper()
	target := filepath.Join(t.TempDir(), "target")
	if err := os.WriteFile(target, a.out, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, a.c.Layout.Result(a.t.ID, ending)); err != nil {
		t.Fatal(err)
	}
}

func fifo(t *testing.T, a *answerOf, ending string) {
	t.Helper()
	if err := syscall.Mkfifo(a.c.Layout.Result(a.t.ID, ending), 0o600); err != nil {
		t.Fatal(err)
	}
}

func sparse(t *testing.T, a *answerOf, ending string) {
	t.Helper()
	put(t, a, ending, nil)
	if err := os.Truncate(a.c.Layout.Result(a.t.ID, ending), 1<<36); err != nil {
		t.Fatal(err)
	}
}

func TestABadAnswerCanStillBeReplacedByAGoodOne(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	a := answer(t, c, ticket)
	put(t, a, queue.Exit, []byte("0"))
	_, err := c.Wait(limited(t), ticket, client.Events{})
	wantError(t, err, client.ErrBadResult)
	a.put(t)
	if o, err := c.Wait(limited(t), ticket, client.Events{}); err != nil || o.Exit != 7 {
		t.Fatalf("%+v, %v", o, err)
	}
}

func TestAnUnsignedDenialTakesTheRequestBack(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	if err := queue.Publish(c.Layout.Result(ticket.ID, queue.Denied), []byte("no-key\nNo key.\n")); err != nil {
		t.Fatal(err)
	}
	o, err := c.Wait(limited(t), ticket, client.Events{})
	if err != nil || o.Signed || o.Exit != 126 || o.Reason != queue.NoKey || o.Sentence != "No key." {
		t.Fatalf("%+v, %v", o, err)
	}
	checkCancel(t, c, ticket)
}

// TestADenialByAnotherKeyIsAsGoodAsUnsigned is what a qube sees whose key is
// not the one in dom0.
func TestADenialByAnotherKeyIsAsGoodAsUnsigned(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	a := answer(t, c, ticket)
	a.key = queue.GenerateKey()
	a.refuse(queue.BadMAC)
	a.put(t)
	o, err := c.Wait(limited(t), ticket, client.Events{})
	if err != nil || o.Signed || o.Exit != 126 || o.Reason != queue.BadMAC {
		t.Fatalf("%+v, %v", o, err)
	}
	checkCancel(t, c, ticket)
	// It is no answer: one that dom0 signs with the right key still arrives.
	d := &dom0test.Dom0{}
	serve(t, c, d)
	eventually(t, "the signed answer to the cancel", func() bool { return there(c.Layout.Result(ticket.ID, queue.Exit)) })
	if o, err := c.Wait(limited(t), ticket, client.Events{}); err != nil || !o.Signed || o.State != queue.StateCancelled || d.Runs() != 0 {
		t.Fatalf("%+v, %v", o, err)
	}
}

// checkCancel opens the cancel as dom0 would, and wants no request beside it.
func checkCancel(t *testing.T, c *client.Client, ticket *client.Ticket) {
	t.Helper()
	b, err := os.ReadFile(c.Layout.Cancel(ticket.ID))
	if err != nil {
		t.Fatal(err)
	}
	x, _, denial := queue.Check{ID: ticket.ID, Qube: "work", Now: time.Now()}.Cancel(b, key(t, c))
	if denial != nil || x.Request != ticket.Digest || x.Expires != ticket.Expires {
		t.Fatalf("cancel %+v, %v", x, denial)
	}
	if there(c.Layout.Header(ticket.ID)) || there(c.Layout.Body(ticket.ID)) {
		t.Fatal("the request is still there")
	}
}

func TestDom0ThatDoesNotLook(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	serve(t, c, &dom0test.Dom0{Ignore: true})
	ticket := submit(t, c, client.Request{Script: []byte("x"), Within: time.Second})
	_, err := c.Wait(limited(t), ticket, client.Events{})
	wantError(t, err, client.ErrNotTaken)
	checkCancel(t, c, ticket)
}

func TestDom0ThatTakesAndDoesNotAnswer(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Waits.Tick = 10 * time.Millisecond
	serve(t, c, &dom0test.Dom0{Hang: true})
	ticket := submit(t, c, client.Request{Script: []byte("x"), Within: time.Second, Timeout: time.Second})
	var words []queue.Word
	ticked := false
	_, err := c.Wait(limited(t), ticket, client.Events{Word: func(w queue.Word) { words = append(words, w) },
		Tick: func(waited, limit time.Duration) { ticked = ticked || waited > 0 && limit > 0 }})
	wantError(t, err, client.ErrNoAnswer)
	if !strings.Contains(err.Error(), "qvm-remote wait "+ticket.ID) || !ticked || len(words) == 0 || words[len(words)-1] != queue.WordRunning {
		t.Fatalf("error %v, ticked %v, words %q", err, ticked, words)
	}
	if there(c.Layout.Cancel(ticket.ID)) {
		t.Fatal("a request that was taken is not to be taken back for lateness")
	}
}

func TestCancelStopsTheCommand(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Waits.Cancel = 2 * time.Minute
	serve(t, c, &dom0test.Dom0{})
	ticket := submit(t, c, client.Request{Script: []byte("exec sleep 60")})
	eventually(t, "running", func() bool { return there(c.Layout.Running(ticket.ID)) })
	o, err := c.Cancel(limited(t), ticket)
	if err != nil || o.State != queue.StateCancelled {
		t.Fatalf("%+v, %v", o, err)
	}
	if o, err := c.Wait(limited(t), ticket, client.Events{}); err != nil || o.Exit != 130 {
		t.Fatalf("the one who waits: %+v, %v", o, err)
	}
}

func TestCancelOfARequestNobodyTook(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Waits.Cancel = time.Millisecond
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	_, err := c.Cancel(limited(t), ticket)
	wantError(t, err, client.ErrNotConfirmed)
	checkCancel(t, c, ticket)
	d := &dom0test.Dom0{}
	serve(t, c, d)
	if o, err := c.Wait(limited(t), ticket, client.Events{}); err != nil || o.State != queue.StateCancelled || d.Runs() != 0 {
		t.Fatalf("%+v, %v, %d runs", o, err, d.Runs())
	}
}

func TestWaitEndsWithItsContextAndWithItsReader(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_, err := c.Wait(ctx, ticket, client.Events{})
	wantError(t, err, context.Canceled)
	answer(t, c, ticket).put(t)
	_, err = c.Wait(limited(t), ticket, client.Events{Stdout: closedPipe{}})
	if out := (*client.OutputError)(nil); !errors.As(err, &out) {
		t.Fatalf("error %v", err)
	}
	wantError(t, err, syscall.EPIPE)
}

type closedPipe struct{}

func (closedPipe) Write([]byte) (int, error) { return 0, syscall.EPIPE }

func TestManyAtOnceRunOnceEach(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	c.Waits.Brief = client.DefaultWaits().Brief
	d := &dom0test.Dom0{}
	serve(t, c, d)
	const n = 24
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			r := client.Request{Script: fmt.Appendf(nil, "cat; echo %d", i), Stdin: strings.NewReader("in ")}
			ticket, err := c.Submit(context.Background(), r)
			if err != nil {
				t.Error(err)
				return
			}
			var waiters sync.WaitGroup
			for range 2 { // two may wait for the same request
				waiters.Add(1)
				go func() {
					defer waiters.Done()
					var out bytes.Buffer
					o, err := c.Wait(context.Background(), ticket, client.Events{Stdout: &out})
					if want := fmt.Sprintf("in %d\n", i); err != nil || o.Exit != 0 || out.String() != want {
						t.Errorf("%d: %+v, %v, %q", i, o, err, &out)
					}
				}()
			}
			waiters.Wait()
		}()
	}
	all.Wait()
	if d.Runs() != n {
		t.Fatalf("%d runs of %d", d.Runs(), n)
	}
	emptyQueue(t, c)
	if got := len(c.History(2 * n)); got != n {
		t.Fatalf("history of %d", got)
	}
	lines, err := c.Log(10 * n)
	done := 0
	for _, l := range lines {
		if strings.Contains(l, "] DONE id=") {
			done++
		}
	}
	if err != nil || done != n {
		t.Fatalf("%d DONE lines, %v", done, err)
	}
}
