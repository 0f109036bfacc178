package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qvmremote/queue"
	"qvmremote/queue/piece"
)

// Outcome is how a request ended.
type Outcome struct {
	ID    string
	State queue.State
	// Exit is what qvm-remote exits with: the command's own exit code, 124
	// timeout, 125 interrupted, 126 denied, 130 cancelled.
	Exit       int
	Reason     queue.Reason // when denied
	Sentence   string       // when denied: dom0's words
	Signed     bool         // by dom0; only a denial can be believed without
	Legacy     bool         // by version 1, which signs nothing: believed as it is
	Started    time.Time    // on dom0's clock; zero if the shell never began
	Duration   time.Duration
	Checkpoint string // commitment to dom0's audit log, to keep
	// CutOut and CutErr say after how many bytes dom0 cut stdout and stderr and
	// put a note in place of the rest; 0 if they are whole.
	CutOut, CutErr int64
	// Out and Err are what stdout and stderr are, as dom0 signed it.
	Out, Err queue.Sum
}

// ErrBadResult says that an answer is not what dom0 signed for this request.
// The request may have run.
var ErrBadResult = errors.New("the result cannot be believed")

// names in the history of a result's files, in the order in which they move
// there: the marker last, so that who looks at the results first and at the
// history then finds an answer in one of them.
var filed = []struct{ ending, name string }{
	{queue.Out, "out"}, {queue.Err, "err"}, {queue.Meta, "meta"}, {queue.Auth, "result"},
	{queue.Denied, "denied"}, {queue.Exit, "exit"},
}

// open finds one of a result's files where it is now.
func (c *Client) open(t *Ticket, ending string) (*os.File, error) {
	f, _, err := queue.OpenRegular(c.Layout.Result(t.ID, ending))
	if !errors.Is(err, fs.ErrNotExist) || t.folder == "" {
		return f, err
	}
	for _, n := range filed {
		if n.ending == ending {
			f, _, err = queue.OpenRegular(filepath.Join(t.folder, n.name))
		}
	}
	return f, err
}

// Output writes to w what a request wrote so far to standard output, or with errs
// to standard error, wherever it is now, and returns how much that is. o is how
// it ended, zero where that is not known. What w got is what dom0 signed only
// where o is signed and there is no error.
func (c *Client) Output(ctx context.Context, t *Ticket, o Outcome, errs bool, w io.Writer) (int64, error) {
	ending, sum := queue.Out, o.Out
	if errs {
		ending, sum = queue.Err, o.Err
	}
	out := newTail(func() (*os.File, error) { return c.open(t, ending) }, piece.Writer(ctx, w))
	defer out.close()
	if o.Signed {
		err := out.finish(sum)
		return out.n, err
	}
	err := out.rest()
	return out.n, err
}

func (c *Client) read(t *Ticket, ending string, max int64) ([]byte, error) {
	b, err := queue.ReadSmall(c.Layout.Result(t.ID, ending), max)
	if !errors.Is(err, fs.ErrNotExist) || t.folder == "" {
		return b, err
	}
	for _, n := range filed {
		if n.ending == ending {
			b, err = queue.ReadSmall(filepath.Join(t.folder, n.name), max)
		}
	}
	return b, err
}

// ended reports whether the mark of the end is there.
func (c *Client) ended(t *Ticket) bool {
	return c.has(t, queue.Exit) || c.has(t, queue.Denied)
}

// has reports whether one of a result's files is there, wherever it is now.
func (c *Client) has(t *Ticket, ending string) bool {
	if exists(c.Layout.Result(t.ID, ending)) {
		return true
	}
	for _, n := range filed {
		if n.ending == ending {
			return t.folder != "" && exists(filepath.Join(t.folder, n.name))
		}
	}
	return false
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// verify reads the signed result of a request that ended, and holds it against
// the request. out and err have shown what they could so far; they read the
// rest and are held against the signed hashes.
func (c *Client) verify(t *Ticket, out, err *tail) (Outcome, error) {
	if t.legacy {
		return c.legacyOutcome(t, out, err)
	}
	header, rerr := c.read(t, queue.Auth, queue.MaxHeader)
	if errors.Is(rerr, fs.ErrNotExist) {
		return c.unsigned(t)
	}
	if rerr != nil {
		return Outcome{}, fmt.Errorf("%w: %w", ErrBadResult, rerr)
	}
	o, rerr := c.signedOutcome(t, header, out, err)
	if errors.Is(rerr, queue.ErrMAC) && c.onlyDenied(t) {
		// dom0 holds another key than this request was signed with: its
		// signature says nothing here, but its reason is what is needed.
		return c.unsigned(t)
	}
	return o, rerr
}

// signedOutcome holds a signed result against the request and the outputs.
func (c *Client) signedOutcome(t *Ticket, header []byte, out, err *tail) (Outcome, error) {
	r, rerr := c.openResult(t, header)
	if rerr != nil {
		return Outcome{}, c.unconfirmed(t, rerr)
	}
	if r.State == queue.StateDenied {
		return c.denied(t, r)
	}
	o := outcome(r)
	for _, part := range []struct {
		what string
		tail *tail
		sum  queue.Sum
	}{{"stdout", out, r.Out}, {"stderr", err, r.Err}} {
		if err := part.tail.finish(part.sum); err != nil {
			return Outcome{}, fmt.Errorf("%s: %w", part.what, err)
		}
	}
	o.CutOut, o.CutErr, o.Out, o.Err = out.cut(), err.cut(), r.Out, r.Err
	return o, nil
}

// onlyDenied reports whether the mark of the end is a denial and nothing else.
func (c *Client) onlyDenied(t *Ticket) bool {
	_, denied := c.read(t, queue.Denied, queue.MaxDenied)
	_, exit := c.read(t, queue.Exit, queue.MaxHeader)
	return denied == nil && errors.Is(exit, fs.ErrNotExist)
}

// openResult authenticates a result and checks that it answers this request.
func (c *Client) openResult(t *Ticket, header []byte) (queue.Result, error) {
	keys := c.keys()
	if !t.key.IsZero() {
		keys = append([]queue.Key{t.key}, keys...)
	}
	err := error(ErrNoKey)
	for _, k := range keys {
		var r queue.Result
		if r, err = queue.OpenResult(header, k.ResultKey()); err != nil {
			continue
		}
		if r.ID != t.ID || r.Request != t.Digest {
			return queue.Result{}, fmt.Errorf("%w: it answers another request", ErrBadResult)
		}
		return r, nil
	}
	return queue.Result{}, fmt.Errorf("%w: %w", ErrBadResult, err)
}

func outcome(r queue.Result) Outcome {
	o := Outcome{ID: r.ID, State: r.State, Exit: r.Exit, Reason: r.Reason, Signed: true,
		Duration: time.Duration(r.DurationMS) * time.Millisecond, Checkpoint: r.Checkpoint}
	if r.Started != 0 {
		o.Started = time.Unix(r.Started, 0)
	}
	switch r.State { // the state decides, so that a script cannot be mistaken
	case queue.StateTimeout:
		o.Exit = queue.ExitTimeout
	case queue.StateCancelled:
		o.Exit = queue.ExitCancelled
	case queue.StateInterrupted:
		o.Exit = queue.ExitInterrupted
	case queue.StateDenied:
		o.Exit = queue.ExitDenied
	}
	return o
}

// denied reads why, which dom0 signed as the hash of the whole file.
func (c *Client) denied(t *Ticket, r queue.Result) (Outcome, error) {
	b, err := c.read(t, queue.Denied, queue.MaxDenied)
	if err != nil || queue.SumOf(b) != r.Err {
		return Outcome{}, fmt.Errorf("%w: the denial is not the one dom0 signed", ErrBadResult)
	}
	o := outcome(r)
	_, o.Sentence = splitDenied(b)
	return o, nil
}

// unsigned accepts a denial without a signature by this qube's key, for a dom0
// without that key can give no other. Since anyone could have written it the
// request is taken back, and a signature that proves nothing is not kept: the
// agent would take it for an answer and drop a real one.
func (c *Client) unsigned(t *Ticket) (Outcome, error) {
	b, err := c.read(t, queue.Denied, queue.MaxDenied)
	if err != nil {
		return Outcome{}, fmt.Errorf("%w: it has no signature", ErrBadResult)
	}
	c.retract(t)
	if err := c.publishCancel(t); err != nil {
		return Outcome{}, fmt.Errorf("denied, but not by a signed answer, and the request cannot be taken back: %w", err)
	}
	_ = os.Remove(c.Layout.Result(t.ID, queue.Auth))
	return deniedBy(t, b), nil
}

// unsignedDenial is what an answer of that kind in the history says.
func (c *Client) unsignedDenial(t *Ticket) (Outcome, error) {
	b, err := c.read(t, queue.Denied, queue.MaxDenied)
	if err != nil {
		return Outcome{}, fmt.Errorf("%w: %w", ErrBadResult, err)
	}
	return deniedBy(t, b), nil
}

func deniedBy(t *Ticket, file []byte) Outcome {
	o := Outcome{ID: t.ID, State: queue.StateDenied, Exit: queue.ExitDenied}
	o.Reason, o.Sentence = splitDenied(file)
	return o
}

// unconfirmed adds to the error of an answer that cannot be believed what that
// answer says, where it is a denial: of a request that was changed on its way
// that is the only way to learn why. It decides nothing.
func (c *Client) unconfirmed(t *Ticket, bad error) error {
	b, err := c.read(t, queue.Denied, queue.MaxDenied)
	if err != nil {
		return bad
	}
	code, sentence := splitDenied(b)
	return fmt.Errorf("%w; what it says, unconfirmed: denied(%s): %s", bad, code, sentence)
}

// splitDenied reads a .denied file: a reason's code, and a sentence.
func splitDenied(b []byte) (queue.Reason, string) {
	code, sentence, _ := strings.Cut(string(b), "\n")
	return queue.Reason(code), strings.TrimSuffix(sentence, "\n")
}
