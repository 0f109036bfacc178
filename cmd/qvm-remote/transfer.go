package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/term"

	"qvmremote/client"
	"qvmremote/client/transfer"
	"qvmremote/queue"
	"qvmremote/queue/piece"
)

// push sends a file to dom0.
func (p *program) push(args []string) (int, error) {
	return p.transfer("push", "LOCAL DOM0PATH", args, (*transfer.Transfer).Push)
}

// pull fetches a file from dom0.
func (p *program) pull(args []string) (int, error) {
	return p.transfer("pull", "DOM0PATH LOCAL", args, (*transfer.Transfer).Pull)
}

func (p *program) transfer(verb, needs string, args []string,
	do func(t *transfer.Transfer, ctx context.Context, from, to string) (transfer.Result, error)) (int, error) {
	force := false
	words, err := p.arguments(args, 2, map[string]*bool{"--force": &force, "-q": &p.quiet, "--quiet": &p.quiet})
	switch {
	case err != nil:
		return 0, err
	case len(words) < 2 || words[0] == "" || words[1] == "":
		return 0, usageError{verb + " requires: " + needs}
	case p.stdin || p.detach:
		return 0, usageError{verb + " takes neither --stdin nor --detach"}
	}
	defer p.catch()()
	m := meter{p: p, verb: verb, lines: p.onTerminal()}
	t := &transfer.Transfer{Client: p.c, Overwrite: force, Timeout: p.timeout, Within: p.within, Progress: m.show}
	r, err := do(t, p.ctx, words[0], words[1])
	m.clear()
	p.c.Tidy(p.ctx)
	if err == nil {
		p.progress("%s: %d bytes, sha256 %s", plain(r.Path), r.Size, r.SHA256)
		return 0, nil
	}
	return 0, p.transferError(verb, err)
}

// transferError gives what went wrong its exit code, and says what to do.
func (p *program) transferError(verb string, err error) error {
	var end *transfer.EndError
	var there *transfer.Error
	switch {
	case errors.Is(err, context.Canceled):
		text := "stopped; the same " + verb + " goes on from here within a week"
		if errors.Is(err, client.ErrNotConfirmed) {
			text += "; the last piece may still be under way in dom0"
		}
		return exitError{p.stopped(), errors.New(text)}
	case errors.As(err, &end):
		return exitError{end.Outcome.Exit, err}
	case errors.Is(err, fs.ErrExist):
		return exitError{queue.ExitUsage, fmt.Errorf("%w. To replace it: %s --force", err, verb)}
	case errors.As(err, &there), errors.As(err, new(*fs.PathError)), errors.Is(err, transfer.ErrChanged), errors.Is(err, transfer.ErrCorrupt),
		errors.Is(err, queue.ErrNotRegular), errors.Is(err, piece.ErrBusy), errors.Is(err, piece.ErrForeign),
		errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENOTDIR):
		return exitError{queue.ExitUsage, err}
	}
	return err
}

// onTerminal reports whether somebody watches the progress.
func (p *program) onTerminal() bool {
	f, ok := p.err.(*os.File)
	return ok && !p.quiet && term.IsTerminal(int(f.Fd()))
}

// meter shows how far a transfer is, on one line of a terminal.
type meter struct {
	p     *program
	verb  string
	lines bool // there is a terminal
	last  transfer.Phase
	shown bool
}

func (m *meter) show(at transfer.Progress) {
	phase := m.last
	m.last = at.Phase
	switch {
	case at.Phase == transfer.Approval && phase != at.Phase:
		m.clear()
		m.p.progress("waiting for approval in dom0")
		return
	case at.Phase == transfer.Waiting && phase != at.Phase:
		m.clear()
		m.p.progress("dom0 takes no more requests in this minute; waiting")
		return
	case !m.lines:
		return
	}
	text := m.verb
	if at.Phase == transfer.Summing {
		text = "reading"
	}
	if at.Size > 0 {
		text += fmt.Sprintf(" %3d %%  %s of %s", at.Done*100/at.Size, mebibytes(at.Done), mebibytes(at.Size))
	}
	m.shown = true
	fmt.Fprintf(m.p.err, "\r[qvm-remote] %s\x1b[K", text)
}

// clear takes the line away, so that what is said next has its own.
func (m *meter) clear() {
	if m.shown {
		m.shown = false
		fmt.Fprint(m.p.err, "\r\x1b[K")
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }
