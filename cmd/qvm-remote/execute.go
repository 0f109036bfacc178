package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"qvmremote/client"
	"qvmremote/queue"
)

// execute runs a command in dom0.
func (p *program) execute() (int, error) {
	if p.json {
		return 0, errNoJSON
	}
	script, err := p.script()
	if err != nil {
		return 0, err
	}
	if err := client.CheckScript(script); err != nil {
		return 0, usageError{err.Error()}
	}
	if err := p.c.Prepare(); err != nil {
		return 0, err
	}
	defer p.catch()()
	r := client.Request{Script: script, Timeout: p.timeout, Within: p.within, Detach: p.detach}
	if p.stdin {
		r.Stdin = p.in
	}
	t, err := p.c.Submit(p.ctx, r)
	if err != nil {
		return 0, err
	}
	if p.c.Legacy {
		p.progress("%s", client.LegacyRisk)
	}
	if p.verbose {
		p.progress("submitted id=%s", t.ID)
	}
	if p.detach {
		if !p.verbose {
			p.progress("to collect: qvm-remote wait %s", t.ID)
		}
		return p.print(t.ID + "\n"), nil
	}
	code, err := p.follow(t, p.withdraw)
	p.c.Tidy(p.ctx)
	return code, err
}

// script is what the words say, or standard input without any.
func (p *program) script() ([]byte, error) {
	switch len(p.words) {
	case 0:
	case 1: // a line for the shell
		return []byte(p.words[0] + "\n"), nil
	default:
		return []byte(client.Quote(p.words) + "\n"), nil
	}
	if p.stdin {
		return nil, usageError{"--stdin requires a command: standard input cannot be both"}
	}
	if term.IsTerminal(int(p.in.Fd())) {
		return nil, usageError{"no command specified"}
	}
	b, err := io.ReadAll(io.LimitReader(p.in, queue.MaxScript+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the script: %w", err)
	}
	if len(b) > queue.MaxScript {
		more, _ := io.Copy(io.Discard, io.LimitReader(p.in, queue.MaxStdin))
		return nil, usageError{fmt.Sprintf("command too large (%d > %d bytes)", int64(len(b))+more, queue.MaxScript)}
	}
	return b, nil
}

// follow shows a request's output until its end and returns the exit code. It
// calls abandon when a signal or a closed pipe comes first.
func (p *program) follow(t *client.Ticket, abandon func(*client.Ticket)) (int, error) {
	events := client.Events{Stdout: p.out, Stderr: p.err, Word: p.word, Tick: p.tick}
	type end struct {
		o   client.Outcome
		err error
	}
	ended := make(chan end, 1)
	go func() {
		o, err := p.c.Wait(p.ctx, t, events)
		ended <- end{o, err}
	}()
	var e end
	select {
	case e = <-ended:
	case <-p.ctx.Done(): // the output may block; the cancel must not wait for it
		select {
		case e = <-ended:
		case <-time.After(50 * time.Millisecond):
			e.err = p.ctx.Err()
		}
	}
	var out *client.OutputError
	switch {
	case e.err == nil:
		p.report(e.o, t)
		return e.o.Exit, nil
	case errors.Is(e.err, context.Canceled):
		abandon(t)
		return p.stopped(), nil
	case errors.As(e.err, &out):
		abandon(t)
		if errors.Is(e.err, syscall.EPIPE) {
			return queue.ExitBrokenPipe, nil
		}
	}
	return 0, fmt.Errorf("%w (id=%s)", e.err, t.ID)
}

// withdraw takes back a request that nobody follows any more.
func (p *program) withdraw(t *client.Ticket) {
	switch o, err := p.c.Cancel(context.Background(), t); {
	case errors.Is(err, client.ErrNotConfirmed):
		p.say("qvm-remote: cancel not confirmed: the command may still run in dom0 (id=%s). Later: qvm-remote wait %s", t.ID, t.ID)
	case err != nil:
		p.say("qvm-remote: %s (id=%s)", plain(err.Error()), t.ID)
	case o.State == queue.StateExit:
		p.say("qvm-remote: the command had ended before the cancel: exit %d (id=%s)", o.Exit, t.ID)
	default:
		p.report(o, t)
	}
}

// leave stops following a request that was detached on purpose.
func (p *program) leave(t *client.Ticket) {
	p.progress("not cancelled; later: qvm-remote wait %s, or qvm-remote cancel %s", t.ID, t.ID)
}

// report names the state of a request that did not simply end.
func (p *program) report(o client.Outcome, t *client.Ticket) {
	if text := ending(o, t.Timeout); text != "" {
		p.say("qvm-remote: %s (id=%s)", text, t.ID)
	}
	for i, most := range []int64{o.CutOut, o.CutErr} {
		if most > 0 {
			p.say("qvm-remote: %s is incomplete: dom0 delivers %d bytes of it at most (id=%s)", []string{"stdout", "stderr"}[i], most, t.ID)
		}
	}
}

func ending(o client.Outcome, timeout int64) string {
	switch o.State {
	case queue.StateExit:
		if o.Legacy && o.Exit == queue.ExitCancelled {
			return "exit 130: dom0 stopped in the middle, unless the command itself says so; version 1 does not tell which"
		}
	case queue.StateTimeout:
		return fmt.Sprintf("timed out after %ds", timeout)
	case queue.StateCancelled:
		return "cancelled"
	case queue.StateInterrupted:
		if o.Started.IsZero() {
			return "interrupted: dom0 stopped before the command began; it did not run and will not run"
		}
		return "interrupted: dom0 stopped it, or stopped, while it ran; it will not run again"
	case queue.StateDenied:
		text := fmt.Sprintf("denied(%s): %s", plain(string(o.Reason)), plain(o.Sentence))
		switch {
		case o.Legacy:
			text += "; not confirmed by dom0: version 1 has no signatures"
		case !o.Signed:
			text += "; not confirmed by dom0: the answer has no signature, so the request was taken back"
		}
		return text
	}
	return ""
}

func (p *program) word(w queue.Word) {
	switch {
	case w == queue.WordApproval:
		p.progress("waiting for approval in dom0")
	case p.verbose:
		p.progress("%s", plain(strings.TrimSpace(string(w))))
	}
}

func (p *program) tick(waited, limit time.Duration) {
	hint := ""
	if connected, _ := p.c.Connected(); !connected && !p.c.Legacy {
		hint = " (dom0 does not look into this queue now; qvm-remote doctor says why)"
	}
	p.progress("waiting... %ds/%ds%s", int(waited.Seconds()), int(limit.Seconds()), hint)
}

// serve is the agent, for dom0.
func serve(dir string) int {
	if err := serveAgent(dir, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "qvm-remote: agent: %s\n", plain(err.Error()))
		return queue.ExitInternal
	}
	return 0
}
