package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

func (c *conversation) Wait(ctx context.Context, seen int64, max time.Duration) (queue.Names, error) {
	var n queue.Names
	q := queue.Wait{Seen: seen, MaxMS: min(max, queue.MaxWait).Milliseconds()}
	err := c.ask(ctx, max+c.times.Answer, queue.FrameWait, &q, &n)
	return n, err
}

func (c *conversation) ReadHeader(ctx context.Context, id string, part queue.Part) ([]byte, error) {
	var d queue.Data
	err := c.fetchChunk(ctx, &queue.Fetch{ID: id, Part: part}, &d, func() error {
		if d.Size > queue.MaxHeader || int64(len(d.Bytes)) > queue.MaxHeader {
			return queue.ErrTooLarge
		}
		d.Bytes = append([]byte(nil), d.Bytes...)
		return nil
	})
	return d.Bytes, err
}

// ErrChanged says that a part is not as long as its header says.
var ErrChanged = fmt.Errorf("the file is not of the size its header says")

func (c *conversation) Copy(ctx context.Context, w io.Writer, id string, part queue.Part, size int64) error {
	for offset := int64(0); ; {
		var d queue.Data
		err := c.fetchChunk(ctx, &queue.Fetch{ID: id, Part: part, Offset: offset}, &d, func() error {
			if d.Size != size || offset+int64(len(d.Bytes)) > size {
				return ErrChanged
			}
			_, err := w.Write(d.Bytes)
			return err
		})
		if err != nil {
			return err
		}
		offset += int64(len(d.Bytes))
		if offset == size {
			return nil
		}
		if len(d.Bytes) == 0 {
			return ErrChanged
		}
	}
}

// ErrUnsettled says that a script may still be written.
var ErrUnsettled = errors.New("the script may not be complete")

// settling is how far apart two reads of a script are that have to agree: the
// first implementation's client writes it in place.
const settling = 50 * time.Millisecond

func (c *conversation) Settled(ctx context.Context, id string, max int64) ([]byte, error) {
	first, err := c.whole(ctx, id, max)
	if err != nil {
		return nil, err
	}
	select {
	case <-time.After(settling):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	second, err := c.whole(ctx, id, max)
	if err == nil && !bytes.Equal(first, second) {
		err = ErrUnsettled
	}
	return second, err
}

// whole reads a script of which the size is not known before.
func (c *conversation) whole(ctx context.Context, id string, max int64) (script []byte, err error) {
	for {
		var d queue.Data
		err := c.fetchChunk(ctx, &queue.Fetch{ID: id, Part: queue.PartBody, Offset: int64(len(script))}, &d, func() error {
			if d.Size > max || int64(len(script)+len(d.Bytes)) > max {
				return queue.ErrTooLarge
			}
			script = append(script, d.Bytes...)
			return nil
		})
		var failure *queue.Failure
		switch {
		case errors.As(err, &failure) && failure.Code == queue.CodeGone:
			return nil, ErrUnsettled
		case err != nil:
			return nil, err
		case len(d.Bytes) == 0 || int64(len(script)) == d.Size:
			return script, nil
		}
	}
}

func (c *conversation) Bare(ctx context.Context) (bare []string, err error) {
	e, err := c.List(ctx)
	if err != nil {
		return nil, err
	}
	signed := map[string]bool{}
	for _, f := range e.List {
		if id, ok := strings.CutSuffix(f.Name, queue.Auth); ok && f.Folder == queue.FolderPending {
			signed[id] = true
		}
	}
	for _, f := range e.List {
		if f.Folder == queue.FolderPending && queue.ValidID(f.Name) && !signed[f.Name] {
			bare = append(bare, f.Name)
		}
	}
	return bare, nil
}

// fetchChunk asks for one piece and hands it to use while it counts against
// the budget.
func (c *conversation) fetchChunk(ctx context.Context, q *queue.Fetch, d *queue.Data, use func() error) error {
	select {
	case c.fetch <- struct{}{}:
		defer func() { <-c.fetch }()
	case <-c.done:
		return c.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	if err := c.budget.take(ctx); err != nil {
		return err
	}
	defer c.budget.give()
	if err := c.ask(ctx, c.times.Answer, queue.FrameFetch, q, d); err != nil {
		return err
	}
	return use()
}

// The questions below change what is in the qube, which no record in dom0 may
// be ahead of or behind for good: a crash on either side of each is tested.

func (c *conversation) State(ctx context.Context, id string, word queue.Word) error {
	disk.Point("transport.state:before-ask")
	err := c.do(ctx, queue.FrameState, &queue.SetState{ID: id, Word: word})
	disk.Point("transport.state:after-ask")
	return err
}

func (c *conversation) Live() bool { return true }

func (c *conversation) Write(ctx context.Context, id string, s queue.Stream, offset int64, p []byte) error {
	disk.Point("transport.write:before-ask")
	err := c.do(ctx, queue.FrameWrite, &queue.Write{ID: id, Stream: s, Offset: offset, Bytes: p})
	disk.Point("transport.write:after-ask")
	return err
}

func (c *conversation) Finish(ctx context.Context, f *queue.Finish, _, _ io.ReaderAt) error {
	disk.Point("transport.finish:before-ask")
	err := c.do(ctx, queue.FrameFinish, f)
	disk.Point("transport.finish:after-ask")
	return err
}

func (c *conversation) Deny(ctx context.Context, d *queue.Deny) error {
	disk.Point("transport.deny:before-ask")
	err := c.do(ctx, queue.FrameDeny, d)
	disk.Point("transport.deny:after-ask")
	return err
}

func (c *conversation) List(ctx context.Context) (queue.Entries, error) {
	var e queue.Entries
	err := c.ask(ctx, c.times.Answer, queue.FrameList, &queue.List{}, &e)
	return e, err
}

func (c *conversation) Clean(ctx context.Context, folder queue.Folder, name string) error {
	disk.Point("transport.clean:before-ask")
	err := c.do(ctx, queue.FrameClean, &queue.Clean{Folder: folder, Name: name})
	disk.Point("transport.clean:after-ask")
	return err
}

func (c *conversation) do(ctx context.Context, t queue.FrameType, q queue.Message) error {
	return c.ask(ctx, c.times.Answer, t, q, &queue.Done{})
}
