package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"qvmremote/queue"
	"qvmremote/queue/piece"
)

// Trust says how far an answer in the history can be believed.
type Trust string

// The degrees of trust.
const (
	Verified   Trust = "verified"   // all of it is what dom0 signed for this request
	Unsigned   Trust = "unsigned"   // nobody signed it: a denial without a key, or version 1
	Unverified Trust = "unverified" // it is not what dom0 signed: do not believe it
	Unanswered Trust = "unanswered" // there is no answer
)

// Detail is one request of the history in full.
type Detail struct {
	Past
	Entry   Entry
	Request queue.Request // zero where it cannot be read
	Script  []byte
	Parts   map[string]int64 // sizes of the files there are: stdin, out, err

	Outcome Outcome // where it is verified or unsigned
	Trust   Trust
	Why     error // why it is unverified, or why its request cannot be read
}

// ErrGone says that an entry of the history is no longer there.
var ErrGone = errors.New("it is no longer in the history")

// Detail reads one entry of the history and holds its answer against what dom0
// signed. It changes nothing.
func (c *Client) Detail(ctx context.Context, e Entry) (*Detail, error) {
	if !c.There(e) {
		return nil, ErrGone
	}
	folder := c.folderOf(e)
	d := &Detail{Past: c.past(folder, e.ID, c.keys()), Entry: e, Parts: map[string]int64{}, Trust: Unanswered}
	var err error
	if d.Script, err = c.Command(e); err != nil {
		d.Why = fmt.Errorf("its command cannot be read: %w", err)
	}
	for _, name := range []string{"stdin", "out", "err"} {
		if f, size, err := queue.OpenRegular(filepath.Join(folder, name)); err == nil {
			d.Parts[name] = size
			_ = f.Close()
		}
	}
	t, err := c.ticketOf(e)
	if err != nil {
		d.Why = err
		if d.State != "" {
			d.Trust = Unverified
		}
		return d, ctx.Err()
	}
	d.Request = t.Request
	if !c.ended(t) {
		return d, ctx.Err()
	}
	d.prove(ctx, c, t)
	return d, ctx.Err()
}

// proveRequest holds what the history has as the command, and its input, against
// the request that dom0's signature is for.
func (d *Detail) proveRequest(ctx context.Context, folder string) error {
	if d.Request.Kind == queue.KindScript && queue.SumOf(d.Script) != d.Request.Body {
		return fmt.Errorf("%w: it is for another command than the one in the history", ErrBadResult)
	}
	if _, there := d.Parts["stdin"]; !there {
		return nil
	}
	f, _, err := queue.OpenRegular(filepath.Join(folder, "stdin"))
	if err != nil {
		return fmt.Errorf("%w: its input cannot be read: %w", ErrBadResult, err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(piece.Reader(ctx, f), queue.MaxStdin+1)) // more is another one in any case
	if err != nil {
		return fmt.Errorf("%w: its input cannot be read: %w", ErrBadResult, err)
	}
	if (queue.Sum{SHA256: [sha256.Size]byte(h.Sum(nil)), Size: n, Present: true}) != d.Request.Stdin {
		return fmt.Errorf("%w: it is for another input than the one in the history", ErrBadResult)
	}
	return nil
}

// prove is what Wait does with an answer, but for what it changes.
func (d *Detail) prove(ctx context.Context, c *Client, t *Ticket) {
	out, errs := c.outputOf(t, queue.Out), c.outputOf(t, queue.Err)
	defer out.close()
	defer errs.close()
	var err error
	switch header, rerr := c.read(t, queue.Auth, queue.MaxHeader); {
	case t.legacy && c.onlyDenied(t):
		d.Trust = Unsigned
		d.Outcome, err = c.unsignedDenial(t)
	case t.legacy:
		d.Trust = Unsigned
		d.Outcome, err = c.legacyOutcome(t, out, errs)
	case errors.Is(rerr, fs.ErrNotExist) && c.onlyDenied(t):
		d.Trust = Unsigned
		d.Outcome, err = c.unsignedDenial(t)
	case errors.Is(rerr, fs.ErrNotExist):
		err = fmt.Errorf("%w: it has no signature", ErrBadResult)
	case rerr != nil:
		err = fmt.Errorf("%w: %w", ErrBadResult, rerr)
	default:
		d.Trust = Verified
		d.Outcome, err = c.signedOutcome(t, header, out, errs)
		// Who waits is shown as much as was signed; here all of the file is.
		if err == nil && (c.sizeOf(t, queue.Out) > out.n || c.sizeOf(t, queue.Err) > errs.n) {
			err = fmt.Errorf("%w: there is more output than dom0 signed", ErrBadResult)
		}
		if err == nil {
			err = d.proveRequest(ctx, t.folder)
		}
	}
	if err != nil {
		d.Trust, d.Why, d.Outcome = Unverified, err, Outcome{}
	}
}

func (c *Client) outputOf(t *Ticket, ending string) *tail {
	return newTail(func() (*os.File, error) { return c.open(t, ending) }, nil)
}

// sizeOf is the size of one of a result's files, wherever it is now.
func (c *Client) sizeOf(t *Ticket, ending string) int64 {
	f, err := c.open(t, ending)
	if err != nil {
		return 0
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	return info.Size()
}

// Part reads a piece of stdin, out or err of an entry, and how large the whole
// is. Anything but a regular file is an error.
func (c *Client) Part(ctx context.Context, e Entry, name string, offset, length int64) ([]byte, int64, error) {
	f, size, err := queue.OpenRegular(filepath.Join(c.folderOf(e), name))
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read it: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.NewSectionReader(f, offset, length))
	if err != nil {
		return nil, size, fmt.Errorf("cannot read it: %w", err)
	}
	return b, size, ctx.Err()
}
