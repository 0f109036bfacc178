package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"

	"qvmremote/client"
	"qvmremote/queue"
	"qvmremote/queue/piece"
)

const (
	maxSaid   = 64 << 10 // of dom0's stderr that is kept
	maxPause  = time.Minute
	maxPauses = 20 // in a row
)

// program is dom0's side.
const program = "qvm-remote-dom0"

// asked is one request of a transfer.
type asked struct {
	words []string
	input func() io.Reader // nil = none; called for each attempt
	want  int64            // bytes of output
	done  Progress         // how far the transfer is
	keep  bool             // in the history
}

// answered is dom0's answer to it.
type answered struct {
	state piece.State
	out   []byte
	cut   int64 // dom0 delivers only so many bytes of output; 0 = enough
}

// ask makes a request and returns dom0's answer. Where dom0 takes no more
// requests in this minute it waits and asks again.
func (t *Transfer) ask(ctx context.Context, a asked) (answered, error) {
	pause := t.Pause
	if pause == 0 {
		pause = time.Second
	}
	for n := 0; ; n++ {
		answer, err := t.once(ctx, a)
		var end *EndError
		if !errors.As(err, &end) || end.Outcome.Reason != queue.Rate || n == maxPauses {
			return answer, err
		}
		t.tell(Waiting, a.done.Done, a.done.Size)
		if err := sleep(ctx, pause); err != nil {
			return answered{}, err
		}
		pause = min(2*pause, maxPause)
	}
}

func (t *Transfer) once(ctx context.Context, a asked) (answered, error) {
	r := client.Request{Script: []byte(client.Quote(append([]string{program}, a.words...)) + "\n"), Timeout: t.Timeout, Within: t.Within}
	if a.input != nil {
		r.Stdin = a.input()
	}
	ticket, err := t.Client.Submit(ctx, r)
	if err != nil {
		return answered{}, err
	}
	out, said := &bounded{max: a.want}, &bounded{max: maxSaid}
	o, err := t.Client.Wait(ctx, ticket, client.Events{Stdout: out, Stderr: said, Word: func(w queue.Word) {
		if w == queue.WordApproval {
			t.tell(Approval, a.done.Done, a.done.Size)
		}
	}})
	if err != nil {
		return answered{}, t.abandon(ctx, ticket, err)
	}
	if o.State != queue.StateExit {
		return answered{}, &EndError{o, ticket.Timeout}
	}
	if o.Exit != 0 {
		return answered{}, failed(o.Exit, said.b.String())
	}
	state, err := piece.ParseState(said.b.Bytes())
	if err != nil {
		return answered{}, err
	}
	if !a.keep {
		t.Client.Forget(ticket)
	}
	if out.over && o.CutOut == 0 {
		return answered{}, fmt.Errorf("%w: more than %d bytes came", piece.ErrNoState, a.want)
	}
	return answered{state, out.b.Bytes(), o.CutOut}, nil
}

// abandon takes a request back that is waited for no more, also where its
// context is over.
func (t *Transfer) abandon(ctx context.Context, ticket *client.Ticket, why error) error {
	if ctx.Err() == nil {
		return why
	}
	if _, err := t.Client.Cancel(context.WithoutCancel(ctx), ticket); err != nil {
		return fmt.Errorf("%w; %w: %w (id=%s)", why, ErrUnderWay, err, ticket.ID)
	}
	return why
}

// failed reads why dom0's program did not do it.
func failed(exit int, said string) error {
	var sentences []string
	for line := range strings.SplitSeq(said, "\n") {
		if s, ok := strings.CutPrefix(line, program+": "); ok {
			sentences = append(sentences, s)
		}
	}
	sentence := strings.Join(sentences, "; ")
	switch {
	case exit == 127 || strings.HasPrefix(sentence, "unknown command"):
		return ErrOld
	case sentence == "":
		return fmt.Errorf("%s failed in dom0 without a word: exit %d", program, exit)
	case exit == 1: // it has no number
		return &Error{Sentence: sentence, Errno: syscall.EIO}
	}
	return &Error{Sentence: sentence, Errno: syscall.Errno(exit)}
}

// bounded keeps the first bytes of what is written to it.
type bounded struct {
	b    bytes.Buffer
	max  int64
	over bool
}

func (w *bounded) Write(p []byte) (int, error) {
	fits := min(int64(len(p)), w.max-int64(w.b.Len()))
	w.over = w.over || fits < int64(len(p))
	w.b.Write(p[:fits])
	return len(p), nil
}
