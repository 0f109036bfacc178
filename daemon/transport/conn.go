package transport

import (
	"context"
	"io"
	"time"

	"qvmremote/queue"
)

// Conn is an open way to one qube's queue. Its methods may be used from several
// goroutines. What a qube cannot do with one of its files is a [*queue.Failure];
// any other error of a method is the way's own, which then is at its end.
type Conn interface {
	// Wait asks for the names in the queue once their number differs from
	// seen, at the latest after max.
	Wait(ctx context.Context, seen int64, max time.Duration) (queue.Names, error)
	// ReadHeader reads a small part, a header or a cancel, whole. One that is
	// longer than a header may be is [queue.ErrTooLarge].
	ReadHeader(ctx context.Context, id string, part queue.Part) ([]byte, error)
	// Copy reads exactly size bytes of a part into w: not one byte more is
	// asked for, and a part that is shorter or longer is [ErrChanged].
	Copy(ctx context.Context, w io.Writer, id string, part queue.Part, size int64) error

	// Settled reads a script of version 1, of at most max bytes: what two reads
	// 50 ms apart agree on. Until then, and while there is none, the error is
	// [ErrUnsettled]; a longer one is [queue.ErrTooLarge].
	Settled(ctx context.Context, id string, max int64) ([]byte, error)
	// Bare are the scripts in the queue that have no token of version 1.
	Bare(ctx context.Context) ([]string, error)

	// State tells the qube how far a claimed request is. When the first one
	// returned, the request's files are gone from its queue.
	State(ctx context.Context, id string, word queue.Word) error
	// Live reports whether output can be brought while it grows: all else
	// about output is then for Write. Where it cannot, Finish brings it.
	Live() bool
	// Write puts output at its offset.
	Write(ctx context.Context, id string, s queue.Stream, offset int64, p []byte) error
	// Finish delivers a final state, and the output that no Write brought.
	Finish(ctx context.Context, f *queue.Finish, out, err io.ReaderAt) error
	// Deny refuses what is no claimed request. It may return before the qube
	// has the refusal; it is then repeated until it does, or the way ends.
	Deny(ctx context.Context, d *queue.Deny) error

	// List asks what is in the queue.
	List(ctx context.Context) (queue.Entries, error)
	// Clean removes one file from the queue. It may return before that is
	// done, as Deny may.
	Clean(ctx context.Context, folder queue.Folder, name string) error

	// Done is closed when the way is at its end; Err then says why.
	Done() <-chan struct{}
	// Err is why the way ended, nil while it lasts.
	Err() error
	// Close ends it, and waits for the processes behind it.
	Close()
}
