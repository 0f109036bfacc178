package poll

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"qvmremote/queue"
)

// change is something to be changed in the qube, which a look carries there.
type change struct {
	line   string
	key    string     // by which it is acknowledged
	hides  string     // the id, or the cancel, that is as good as gone
	told   chan error // of who waits for it; nil for nobody
	gone   bool       // nobody wants it any more
	refuse bool       // when it cannot be done, the id is not brought for a while
}

// encoded is base64 of b, "-" for nothing: a word of a line.
func encoded(b []byte) string {
	if len(b) == 0 {
		return "-"
	}
	return base64.StdEncoding.EncodeToString(b)
}

// State returns when a look has brought the word.
func (c *conn) State(ctx context.Context, id string, word queue.Word) error {
	told := make(chan error, 1)
	ch := &change{line: fmt.Sprintf("state %s %s\n", id, encoded([]byte(word))), key: "state " + id, told: told}
	c.mu.Lock()
	c.open[id] = true
	c.enqueue(ch)
	c.mu.Unlock()
	select {
	case err := <-told:
		return err
	case <-ctx.Done():
		c.withdraw(func(o *change) bool { return o == ch })
		return context.Cause(ctx)
	case <-c.life.Done():
		return c.Err()
	}
}

// Deny returns at once; the next look brings the refusal.
func (c *conn) Deny(ctx context.Context, d *queue.Deny) error {
	return c.change(ctx, &change{
		line: fmt.Sprintf("deny %s %s %s %s\n", d.ID, encoded(d.Auth), encoded(d.Denied), oneLine(d.Log)),
		key:  "deny " + d.ID, hides: d.ID, refuse: true,
	})
}

// Clean returns at once; the next look removes the file.
func (c *conn) Clean(ctx context.Context, folder queue.Folder, name string) error {
	if !queue.ValidName(folder, name) {
		return fmt.Errorf("%s is no name of the queue", queue.Quote(name, 80))
	}
	path := string(folder) + "/" + name
	return c.change(ctx, &change{line: fmt.Sprintf("clean %s %s\n", folder, name), key: "clean " + path, hides: path})
}

func (c *conn) change(ctx context.Context, ch *change) error {
	if err := c.Err(); err != nil {
		return err
	}
	if c.d.AtOnce {
		return c.now(ctx, c.d.Times.Call, ch, nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.changes) >= maxChanges {
		return fmt.Errorf("the qube takes none of %d changes", maxChanges)
	}
	c.enqueue(ch)
	return nil
}

// maxChanges is how many changes may wait for a look: as many as a look can
// bring refusals for, some times over.
const maxChanges = 1000

// enqueue puts a change in the place of an older one of its kind; c.mu is held.
func (c *conn) enqueue(ch *change) {
	i := slices.IndexFunc(c.changes, func(o *change) bool { return o.key == ch.key })
	switch {
	case i >= 0:
		c.changes[i].tell(nil) // the newer word counts
		c.changes[i] = ch
	case len(c.changes) < maxChanges:
		c.changes = append(c.changes, ch)
	default:
		ch.tell(fmt.Errorf("the qube takes none of %d changes", maxChanges))
	}
	c.stir()
}

func (ch *change) tell(err error) {
	if ch.told != nil {
		ch.told <- err // room for one, told once: it leaves every list with that
		ch.told = nil
	}
}

// acknowledged is that the qube has done what was to be done, or could not;
// c.mu is held.
func (c *conn) acknowledged(ch *change, done bool) {
	if ch.refuse && !done && len(c.skip) < maxHeld { // it would take a new one's place in each look
		c.skip[ch.hides] = time.Now().Add(c.d.Times.Skip)
	}
	if !done {
		ch.tell(failed(ch.key))
		return
	}
	if ch.told != nil { // a word: the request's files are gone
		id := ch.key[len("state "):]
		delete(c.known, id)
	}
	ch.tell(nil)
}

func failed(what string) error {
	return &queue.Failure{Code: queue.CodeFailed, Text: "the qube could not do it: " + what}
}

// withdraw forgets changes that no look has carried yet, and has those that one
// carries not be repeated.
func (c *conn) withdraw(which func(*change) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes = slices.DeleteFunc(c.changes, func(ch *change) bool {
		if which(ch) {
			ch.tell(nil)
			return true
		}
		return false
	})
	for _, ch := range c.carrying {
		ch.gone = ch.gone || which(ch)
	}
}

// now makes one change with a call of its own.
func (c *conn) now(ctx context.Context, limit time.Duration, ch *change, more io.Reader) error {
	var in io.Reader = bytes.NewReader([]byte(ch.line + "end\n"))
	if more != nil {
		in = io.MultiReader(bytes.NewReader([]byte(ch.line)), more)
	}
	var acks map[string]bool
	err := c.call(ctx, limit, in, func(a *answer) (err error) {
		_, acks, err = readLook(a, map[string]bool{ch.key: true})
		return err
	})
	if err != nil {
		return err
	}
	done, acked := acks[ch.key]
	switch {
	case !acked:
		return fmt.Errorf("%w: nothing about %s", ErrAnswer, ch.key)
	case !done:
		return failed(ch.key)
	}
	return nil
}

// Finish is a call of its own. A word that a look is bringing to the qube
// meanwhile must not come after the end.
func (c *conn) Finish(ctx context.Context, f *queue.Finish, out, errs io.ReaderAt) error {
	c.withdraw(func(ch *change) bool { return ch.key == "state "+f.ID })
	if err := c.noWordUnderWay(ctx, f.ID); err != nil {
		return err
	}
	outLen, errLen := encodedLen(f.OutSize), encodedLen(f.ErrSize)
	var more io.Reader = bytes.NewReader(nil)
	if len(f.Denied) > 0 {
		outLen, errLen = 0, 0
	} else {
		more = io.MultiReader(base64Of(out, f.OutSize), base64Of(errs, f.ErrSize))
	}
	ch := &change{key: "finish " + f.ID, line: fmt.Sprintf("finish %s %s %s %s %s %d %d %d %d %s\n", f.ID, encoded(f.Meta), encoded(f.Auth),
		encoded([]byte(f.Exit)), encoded(f.Denied), f.OutSize, outLen, f.ErrSize, errLen, oneLine(f.Log))}
	limit := c.d.Times.Call
	if outLen+errLen > 1<<20 {
		limit = c.d.Times.Bulk
	}
	if err := c.now(ctx, limit, ch, more); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.known, f.ID)
	delete(c.open, f.ID)
	c.stir()
	return nil
}

// noWordUnderWay waits for the look that carries a word of id.
func (c *conn) noWordUnderWay(ctx context.Context, id string) error {
	c.mu.Lock()
	busy, landed := slices.ContainsFunc(c.carrying, func(ch *change) bool { return ch.key == "state "+id }), c.landed
	c.mu.Unlock()
	if !busy {
		return nil
	}
	select {
	case <-landed: // a look has a deadline
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-c.life.Done():
		return c.Err()
	}
}

func encodedLen(size int64) int64 { return (size + 2) / 3 * 4 }

// encoding is what a reader has, as base64. Unlike an encoder that writes into a
// pipe it leaves nothing behind when nobody reads it to its end.
type encoding struct {
	from io.Reader
	text []byte
	over bool
}

func base64Of(r io.ReaderAt, size int64) io.Reader {
	return &encoding{from: io.NewSectionReader(r, 0, size)}
}

func (e *encoding) Read(p []byte) (int, error) {
	for len(e.text) == 0 {
		if e.over {
			return 0, io.EOF
		}
		plain := make([]byte, 3<<14)
		n, err := io.ReadFull(e.from, plain)
		e.over = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
		if err != nil && !e.over {
			return 0, err
		}
		e.text = base64.StdEncoding.AppendEncode(nil, plain[:n])
	}
	n := copy(p, e.text)
	e.text = e.text[n:]
	return n, nil
}

// oneLine has no controls, which could be more than one line.
func oneLine(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c == 0x7f {
			b[i] = ' '
		}
	}
	return string(b)
}
