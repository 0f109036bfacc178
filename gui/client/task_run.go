//go:build gtk

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
	"qvmremote/ui"
	"qvmremote/ui/i18n"
	"qvmremote/ui/pieces"
)

// phase is how far a command is.
type phase int

const (
	idle phase = iota // nothing was run here
	sending
	queued // in the queue; dom0 has not taken it
	taken  // it waits in dom0 for its turn
	approval
	running
	ended // progress.outcome says how
	broken
)

// progress is what is known of a command.
type progress struct {
	phase   phase
	since   time.Time // of the phase
	note    string    // what went wrong meanwhile
	unsure  bool      // it was cancelled, and dom0 has not confirmed it
	outcome client.Outcome
	err     error  // broken: why there is no outcome to believe
	sent    string // broken: its id, "" where it was not sent
}

// gestureTime is after how long, in ms, pressing Run is another gesture: longer
// than a double click, and than a key is held down before it repeats.
const gestureTime = 1000

// disarm keeps the gesture that began a command from beginning it again: a short
// command has ended before a double click has, or before a key is let go.
func (t *task) disarm() {
	if t.rearm != nil {
		t.rearm()
	}
	t.rearm = ui.After(t.scope, gestureTime, func() {
		t.rearm = nil
		t.show()
	})
}

// start runs what is written, unless something runs here already.
func (t *task) start() {
	if t.busy() || t.rearm != nil {
		t.disarm() // the same gesture goes on
		return
	}
	if !t.usable() {
		return
	}
	script := t.script()
	if err := client.CheckScript([]byte(script)); err != nil {
		t.toast(sentence(err))
		return
	}
	t.disarm()
	t.run = ui.NewScope(t.scope)
	t.ticket, t.asked, t.cancelled = nil, false, nil
	flow := t.stream.Begin()
	t.finder.end()
	t.Left.SetVisible(false)
	t.become(progress{phase: sending})
	t.tick()
	t.Timeout.Update() // what is typed there counts, too
	request := client.Request{Script: []byte(script), Timeout: time.Duration(t.Timeout.ValueAsInt()) * time.Second}
	run, input := t.run, t.input
	t.sending = ui.NewScope(run)
	sending := t.sending.Context()
	ui.Async(run, func(ctx context.Context) func() {
		o, err := t.exchange(ctx, sending, run, request, input, flow)
		return func() { t.finish(run, o, err) }
	})
}

// exchange submits a request, unless sending ends before, and waits for its end,
// off the main loop.
func (t *task) exchange(ctx, sending context.Context, run *ui.Scope, r client.Request, input string, flow *pieces.Flow) (client.Outcome, error) {
	ticket, err := submit(sending, t.queue, r, input)
	if err != nil {
		return client.Outcome{}, err
	}
	tell := func(f func()) {
		ui.Soon(run, func() {
			if t.run == run {
				f()
			}
		})
	}
	tell(func() {
		t.ticket = ticket
		t.become(progress{phase: queued})
		if t.asked { // too late to keep it from being sent
			t.takeBack()
		}
	})
	return t.queue.Wait(ctx, ticket, client.Events{
		Stdout: flow.Stdout(), Stderr: flow.Stderr(),
		Word: func(w queue.Word) { tell(func() { t.word(w) }) },
	})
}

// submit opens the file for standard input, if there is one, and submits.
func submit(ctx context.Context, c *client.Client, r client.Request, input string) (*client.Ticket, error) {
	if input != "" {
		f, err := openInput(ctx, input)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r.Stdin = f
	}
	if err := c.Prepare(); err != nil {
		return nil, err
	}
	return c.Submit(ctx, r)
}

// openInput opens a regular file: another might never end.
func openInput(_ context.Context, path string) (io.ReadCloser, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not hold us
	if err != nil {
		return nil, fmt.Errorf("%s: %w", i18n.T("cannot read the input"), err)
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(errors.New(i18n.T("cannot read the input: it is not a regular file")), f.Close())
	}
	return f, nil
}

// word is the state that dom0 wrote down.
func (t *task) word(w queue.Word) {
	next := map[queue.Word]phase{queue.WordQueued: taken, queue.WordApproval: approval, queue.WordRunning: running}[w]
	if next != 0 && t.progress.phase != next {
		t.become(progress{phase: next, note: t.progress.note, unsure: t.progress.unsure})
	}
}

// become shows another state of the command.
func (t *task) become(p progress) {
	p.since = time.Now()
	t.progress = p
	t.show()
}

// finish shows how it ended.
func (t *task) finish(run *ui.Scope, o client.Outcome, err error) {
	if t.run != run {
		return
	}
	t.run = nil
	t.stopClock()
	run.Close()
	p := progress{phase: ended, outcome: o}
	if err != nil {
		p = progress{phase: broken, err: err}
		t.bell.Ring()
		if t.ticket != nil {
			p.sent = t.ticket.ID
		}
	}
	t.become(p)
	t.stream.Refresh()
	t.page.window.app.tellEnd(t)
	if t.ticket != nil {
		t.tidy(t.page.scope)
	}
	if then := t.cancelled; then != nil {
		t.cancelled = nil
		then()
	}
}
