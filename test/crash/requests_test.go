//go:build crashpoints

package crash

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"qvmremote/client"
	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// asked is one thing the qube does, and how it ends for it.
type asked struct {
	name    string
	id      string
	want    audit.State // what it comes to where nothing crashes; "" = refused without a claim
	exit    int
	out     string
	runs    bool // leaves its line in the marker when it ran to its end
	done    chan struct{}
	got     client.Outcome
	gotOut  bytes.Buffer
	err     error
	claimed bool // an answer comes only by a claim
}

// day is everything that one qube asks of dom0 in a scene. Each request is
// driven by a goroutine that knows nothing of dom0's restarts.
type day struct {
	s    *scene
	ctx  context.Context
	list []*asked
	wg   sync.WaitGroup
}

func (s *scene) newDay(ctx context.Context) *day { return &day{s: s, ctx: ctx} }

// mark is a script's line that leaves a trace of its having run.
func (d *day) mark(name string) string {
	return fmt.Sprintf("echo %s >> %s\n", name, d.s.marker)
}

func (d *day) submit(a *asked, r client.Request) *client.Ticket {
	d.s.t.Helper()
	t, err := d.s.client.Submit(d.ctx, r)
	must(d.s.t, err)
	a.id, a.done, a.claimed = t.ID, make(chan struct{}), true
	d.list = append(d.list, a)
	return t
}

// drive waits for the answer, after what else the qube does.
func (d *day) drive(a *asked, t *client.Ticket, meanwhile func() error) {
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		defer close(a.done)
		if meanwhile != nil {
			if a.err = meanwhile(); a.err != nil {
				return
			}
		}
		a.got, a.err = d.s.client.Wait(d.ctx, t, client.Events{Stdout: &a.gotOut})
	}()
}

func (d *day) begin() {
	d.command()
	d.failing()
	d.tooLong()
	d.swapped()
	d.withdrawn()
	d.stopped()
	d.forged()
	d.forgedCancel()
}

func (d *day) command() {
	a := &asked{name: "command", want: audit.Exit, out: "hello\n", runs: true}
	t := d.submit(a, client.Request{Script: []byte(d.mark(a.name) + "cat; echo err >&2"), Stdin: strings.NewReader(a.out)})
	d.drive(a, t, nil)
}

// failing is put into the queue once more after its answer came.
func (d *day) failing() {
	a := &asked{name: "failing", want: audit.Exit, exit: 3, runs: true}
	t := d.submit(a, client.Request{Script: []byte(d.mark(a.name) + "exit 3")})
	l := d.s.client.Layout
	header, err := os.ReadFile(l.Header(t.ID))
	must(d.s.t, err)
	body, err := os.ReadFile(l.Body(t.ID))
	must(d.s.t, err)
	d.drive(a, t, nil)
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		<-a.done
		if d.until(func() bool { return d.delivered(a.id) }) != nil {
			return
		}
		if err := queue.Publish(l.Body(t.ID), body); err == nil {
			_ = queue.Publish(l.Header(t.ID), header)
		}
		d.vanishes("the copy of a delivered request", l.Header(t.ID))
	}()
}

func (d *day) delivered(id string) bool {
	for _, r := range d.s.records() {
		if r.ID == id && r.Event == audit.Delivered {
			return true
		}
	}
	return false
}

// tooLong is denied with its claim: dom0's limit is below its timeout.
func (d *day) tooLong() {
	a := &asked{name: "too-long", want: audit.Denied, exit: queue.ExitDenied}
	d.drive(a, d.submit(a, client.Request{Script: []byte(d.mark(a.name)), Timeout: 2 * time.Hour}), nil)
}

// swapped is denied after its claim: its body is not the one it was signed for.
func (d *day) swapped() {
	a := &asked{name: "swapped", want: audit.Denied, exit: queue.ExitDenied}
	t := d.submit(a, client.Request{Script: []byte(d.mark(a.name))})
	must(d.s.t, queue.Publish(d.s.client.Layout.Body(t.ID), bytes.ToUpper([]byte(d.mark(a.name)))))
	d.drive(a, t, nil)
}

// withdrawn is cancelled before dom0 looks.
func (d *day) withdrawn() {
	a := &asked{name: "withdrawn", want: audit.Cancelled, exit: queue.ExitCancelled}
	t := d.submit(a, client.Request{Script: []byte(d.mark(a.name))})
	_, _ = d.s.client.Cancel(d.ctx, t) // dom0 is not there yet
	d.drive(a, t, nil)
}

// stopped is cancelled while it runs, if it comes to that.
func (d *day) stopped() {
	a := &asked{name: "stopped", want: audit.Cancelled, exit: queue.ExitCancelled}
	script := d.mark(a.name) + "(exec -a " + d.s.token + "-child sleep 500) &\nexec -a " + d.s.token + " sleep 500"
	t := d.submit(a, client.Request{Script: []byte(script)})
	d.drive(a, t, func() error {
		running := func() bool {
			b, _ := os.ReadFile(d.s.client.Layout.Running(t.ID))
			return string(b) == string(queue.WordRunning) || d.ended(a.id)
		}
		if err := d.until(running); err != nil {
			return err
		}
		_, err := d.s.client.Cancel(d.ctx, t)
		if err != nil && err != client.ErrNotConfirmed {
			return err
		}
		return nil
	})
}

func (d *day) ended(id string) bool {
	for _, ending := range []string{queue.Exit, queue.Denied} {
		if _, err := os.Stat(d.s.client.Layout.Result(id, ending)); err == nil {
			return true
		}
	}
	return false
}

// forged is signed with another key: refused, and never claimed.
func (d *day) forged() {
	body, now := []byte(d.mark("forged")), time.Now()
	a := &asked{name: "forged", id: queue.NewID(now, 1), done: make(chan struct{})}
	r := queue.Request{Kind: queue.KindScript, ID: a.id, Qube: qubeName, Issued: now.Unix(), Expires: now.Unix() + 300, Timeout: 300, Body: queue.SumOf(body)}
	l := d.s.client.Layout
	must(d.s.t, queue.Publish(l.Body(a.id), body))
	must(d.s.t, queue.Publish(l.Header(a.id), r.Sign(queue.GenerateKey().RequestKey())))
	d.list = append(d.list, a)
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		defer close(a.done)
		a.err = d.until(func() bool { return d.ended(a.id) })
	}()
}

// forgedCancel names a request that was never made.
func (d *day) forgedCancel() {
	now := time.Now()
	c := queue.Cancel{ID: queue.NewID(now, 2), Qube: qubeName, Issued: now.Unix(), Expires: now.Unix() + 300}
	path := d.s.client.Layout.Cancel(c.ID)
	must(d.s.t, queue.Publish(path, c.Sign(queue.GenerateKey().RequestKey())))
	d.wg.Add(1)
	go func() {
		defer d.wg.Done()
		d.vanishes("the forged cancel", path)
	}()
}

// vanishes waits until dom0 has removed a file that must not stay.
func (d *day) vanishes(what, path string) {
	if d.until(func() bool { _, err := os.Lstat(path); return err != nil }) != nil {
		d.s.t.Errorf("%s is still there", what)
	}
}

// until waits for cond, or for the end of the scene's patience.
func (d *day) until(cond func() bool) error {
	for !cond() {
		select {
		case <-d.ctx.Done():
			return d.ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// settled is closed when the qube has all its answers.
func (d *day) settled() <-chan struct{} {
	done := make(chan struct{})
	go func() {
		d.wg.Wait()
		close(done)
	}()
	return done
}
