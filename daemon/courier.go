package daemon

import (
	"context"
	"errors"
	"sync"

	"qvmremote/daemon/spool"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

// courier brings what happens with one request to the qube while it happens:
// first the word for each state, then the output as it grows. It works at the
// qube's pace and never holds the command up; what it could not bring, the
// delivery brings.
type courier struct {
	q     *qube
	id    string
	uuid  string // of the qube that asked, "" where it was not known
	out   *spool.Output
	err   *spool.Output
	words chan queue.Word
	quit  context.CancelFunc
	done  chan struct{}

	mu     sync.Mutex
	word   queue.Word     // the latest one
	told   transport.Conn // whose agent last removed the request's files; nil before that
	atLook int64          // the look that was the latest then

	conn             transport.Conn // for which the offsets hold
	sentOut, sentErr int64
}

func newCourier(q *qube, id, uuid string, out, err *spool.Output) *courier {
	ctx, quit := context.WithCancel(q.x.lasting)
	c := &courier{q: q, id: id, uuid: uuid, out: out, err: err, words: make(chan queue.Word, 4), quit: quit, done: make(chan struct{})}
	go c.run(ctx)
	return c
}

// show queues a word for the qube.
func (c *courier) show(w queue.Word) {
	c.mu.Lock()
	c.word = w
	c.mu.Unlock()
	select {
	case c.words <- w:
	default: // at most three words are ever shown
	}
}

func (c *courier) run(ctx context.Context) {
	defer close(c.done)
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case w := <-c.words:
			err = c.q.withConn(ctx, c.uuid, func(conn transport.Conn) error { return c.state(ctx, conn, w) })
		case <-c.out.Grown():
			err = c.q.withConn(ctx, c.uuid, func(conn transport.Conn) error { return c.rest(ctx, conn) })
		case <-c.err.Grown():
			err = c.q.withConn(ctx, c.uuid, func(conn transport.Conn) error { return c.rest(ctx, conn) })
		}
		var failure *queue.Failure
		if errors.As(err, &failure) {
			if c.q.told.again() {
				c.q.x.warn("the qube does not take live output", "qube", c.q.name, "id", c.id, "error", failure.Error())
			}
			return
		}
	}
}

func (c *courier) state(ctx context.Context, conn transport.Conn, w queue.Word) error {
	err := conn.State(ctx, c.id, w)
	if err == nil {
		c.removed(conn)
	}
	return err
}

// again shows the latest word once more, for a qube that came back as it was
// before the claim, as from a snapshot.
func (c *courier) again() {
	c.mu.Lock()
	w := c.word
	c.mu.Unlock()
	if w != "" {
		c.show(w)
	}
}

// removed notes that the agent has removed the request's original: it does so
// at the first word, and at the delivery for a request that an earlier run took.
func (c *courier) removed(conn transport.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.told != conn {
		c.told, c.atLook = conn, c.q.looks.Load()
	}
}

// removedBy is the connection whose agent last removed the request's original,
// nil if none has, and the look that was the latest then.
func (c *courier) removedBy() (transport.Conn, int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.told, c.atLook
}

// startOver makes the next rest send all of the output again.
func (c *courier) startOver() { c.conn = nil }

// rest sends the output that the qube does not have yet. On a new connection
// it begins anew: what the qube had may be gone, and writing it again does no
// harm.
func (c *courier) rest(ctx context.Context, conn transport.Conn) error {
	if !conn.Live() {
		return nil // the delivery brings it
	}
	if c.conn != conn {
		c.conn, c.sentOut, c.sentErr = conn, 0, 0
	}
	if err := c.send(ctx, conn, queue.Stdout, c.out, &c.sentOut); err != nil {
		return err
	}
	return c.send(ctx, conn, queue.Stderr, c.err, &c.sentErr)
}

func (c *courier) send(ctx context.Context, conn transport.Conn, s queue.Stream, o *spool.Output, sent *int64) error {
	for size := o.Size(); *sent < size; {
		p := make([]byte, min(size-*sent, queue.Chunk))
		n, err := o.ReadAt(p, *sent)
		if n == 0 {
			return err
		}
		if err := conn.Write(ctx, c.id, s, *sent, p[:n]); err != nil {
			return err
		}
		*sent += int64(n)
	}
	return nil
}

// stop ends the live part; only rest may be called after it.
func (c *courier) stop() {
	c.quit()
	<-c.done
}
