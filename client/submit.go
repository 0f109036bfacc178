package client

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"qvmremote/queue"
)

// Request is what to run in dom0.
type Request struct {
	Script  []byte        // for bash; refused if empty or not text
	Stdin   io.Reader     // the command's standard input; nil = /dev/null
	Timeout time.Duration // from the start of the shell; 0 = 300 s; whole seconds
	Within  time.Duration // until the shell has to have started; 0 = 300 s, or 24 h with Detach
	Detach  bool          // nobody will wait
}

// Ticket is a submitted request: what is needed to wait for it or take it back.
type Ticket struct {
	queue.Request
	Digest queue.Digest // of the header

	key    queue.Key // signed with it; zero when read from the history
	folder string    // in the history; "" for a ping
	since  time.Time // when the waits began; monotonic

	legacy   bool          // it goes, or went, to dom0 as version 1 has it
	patience time.Duration // version 1: the longest wait for its end; 0 = the protocol's
}

// ErrTooLarge says that a script or its input is over the protocol's limit.
var ErrTooLarge = errors.New("too large")

// CheckScript refuses what dom0 would: a script that is empty, too large or
// not text.
func CheckScript(script []byte) error {
	if len(script) > queue.MaxScript {
		return fmt.Errorf("command %w (%d > %d bytes)", ErrTooLarge, len(script), queue.MaxScript)
	}
	if d := queue.CheckScript(script); d != nil {
		if d.Reason == queue.Empty {
			return errors.New("empty command")
		}
		return errors.New(d.Sentence())
	}
	return nil
}

// Submit publishes a request. When it fails nothing is left in the queue or
// the history. [Client.Prepare] must have been called.
func (c *Client) Submit(ctx context.Context, r Request) (*Ticket, error) {
	if err := CheckScript(r.Script); err != nil {
		return nil, err
	}
	if err := c.checkLegacy(r); err != nil {
		return nil, err
	}
	t, err := c.ticket(ctx, queue.KindScript, r)
	if err != nil {
		return nil, err
	}
	t.folder = c.Layout.HistoryOf(time.Unix(t.Issued, 0), t.ID)
	if err := c.publish(ctx, t, r); err != nil {
		c.retract(t)
		_ = os.RemoveAll(t.folder)
		_ = os.Remove(filepath.Dir(t.folder)) // the day, if nothing else is in it
		return nil, fmt.Errorf("nothing was submitted: %w", Explain(err))
	}
	c.note(fmt.Sprintf("SUBMIT id=%s size=%dB cmd=%s", t.ID, t.Body.Size, summary(r.Script, 100)))
	return t, nil
}

func (c *Client) ticket(ctx context.Context, kind string, r Request) (*Ticket, error) {
	key, err := c.Key()
	if err != nil {
		return nil, err
	}
	asked := r
	if r.Timeout == 0 {
		r.Timeout = queue.DefaultTimeout * time.Second
	}
	if r.Within == 0 {
		r.Within = queue.DefaultWithin
		if r.Detach {
			r.Within = queue.DetachWithin
		}
	}
	if r.Timeout < time.Second || r.Timeout > queue.MaxTimeout*time.Second {
		return nil, fmt.Errorf("the timeout must be 1 to %d seconds", queue.MaxTimeout)
	}
	if r.Within < time.Second || r.Within > queue.MaxWithin {
		return nil, fmt.Errorf("the time to start must be 1 to %d seconds", queue.MaxWithin/time.Second)
	}
	name := c.QubeName(ctx)
	now := c.Now()
	t := &Ticket{key: key, since: time.Now(), Request: queue.Request{
		Kind: kind, ID: queue.NewID(now, os.Getpid()), Qube: name,
		Issued: now.Unix(), Expires: now.Add(r.Within).Unix(), Timeout: int64(r.Timeout / time.Second),
		Body: queue.SumOf(r.Script),
	}}
	if kind == queue.KindPing {
		t.ID = queue.NewPingID(now, os.Getpid())
	}
	if c.Legacy {
		legacyTicket(t, asked)
	}
	return t, nil
}

// publish writes a request's files, those that make it visible last.
func (c *Client) publish(ctx context.Context, t *Ticket, r Request) error {
	if r.Stdin != nil {
		sum, err := spool(ctx, r.Stdin, c.Layout.Stdin(t.ID), queue.MaxStdin)
		if err != nil {
			return err
		}
		t.Stdin = sum
	}
	header := t.Sign(t.key.RequestKey())
	t.Digest = queue.DigestOf(header)
	if t.folder != "" {
		if err := c.record(t, header, r.Script); err != nil {
			return err
		}
	}
	type file struct {
		path string
		data []byte
	}
	first, last := file{c.Layout.Body(t.ID), r.Script}, file{c.Layout.Header(t.ID), header}
	if t.legacy { // an old dom0 takes the script for the request, and deletes one without a token
		first, last = file{last.path, []byte(queue.LegacyToken(t.key, t.ID))}, first
	}
	if err := queue.Publish(first.path, first.data); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return queue.Publish(last.path, last.data)
}

// record begins the request's entry in the history.
func (c *Client) record(t *Ticket, header, script []byte) error {
	if err := os.MkdirAll(t.folder, 0o700); err != nil {
		return err
	}
	if err := queue.Publish(filepath.Join(t.folder, "request"), header); err != nil {
		return err
	}
	if err := queue.Publish(filepath.Join(t.folder, "command"), script); err != nil {
		return err
	}
	if t.legacy {
		return queue.Publish(filepath.Join(t.folder, legacyMark), nil)
	}
	if !t.Stdin.Present {
		return nil
	}
	// The same file under a second name: input may be large.
	return os.Link(c.Layout.Stdin(t.ID), filepath.Join(t.folder, "stdin"))
}

// spool copies in to path, at most max bytes. It returns when ctx
// ends, also while a read is under way; that read keeps its goroutine until it
// returns.
func spool(ctx context.Context, in io.Reader, path string, max int64) (queue.Sum, error) {
	tooLarge := fmt.Errorf("standard input %w (over %d bytes)", ErrTooLarge, max)
	if f, ok := in.(*os.File); ok { // a file says it at once
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			if at, err := f.Seek(0, io.SeekCurrent); err == nil && info.Size()-at > max {
				return queue.Sum{}, tooLarge
			}
		}
	}
	f, err := queue.TempFor(path)
	if err != nil {
		return queue.Sum{}, err
	}
	h := sha256.New()
	var n int64
	copied := make(chan error, 1)
	go func() {
		var err error
		n, err = io.Copy(io.MultiWriter(f, h), io.LimitReader(in, max+1))
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		copied <- err
	}()
	select {
	case err = <-copied:
	case <-ctx.Done():
		_ = os.Remove(f.Name())
		return queue.Sum{}, ctx.Err()
	}
	if err == nil && n > max {
		err = tooLarge
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return queue.Sum{}, err
	}
	return queue.Sum{SHA256: [sha256.Size]byte(h.Sum(nil)), Size: n, Present: true}, nil
}

// retract takes what is in the queue of a request away, its header first:
// without one there is no request.
func (c *Client) retract(t *Ticket) {
	for _, path := range []string{c.Layout.Header(t.ID), c.Layout.Body(t.ID), c.Layout.Stdin(t.ID)} {
		_ = os.Remove(path) // what cannot be removed is found by the sweep
	}
}
