package run

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// chunk is how much output is in the daemon's memory at a time, per stream.
const chunk = 32 << 10

// output passes one stream of a command on to its sink.
type output struct {
	name string
	from *os.File
	sink io.Writer
	max  int64
	done chan struct{} // closed when from has ended

	mu      sync.Mutex // held while state changes, never while the sink writes
	closed  bool
	writing bool
	figures
}

// figures is what is known of a stream at its end.
type figures struct {
	taken     int64
	truncated bool
	err       error
}

func newOutput(name string, from *os.File, sink io.Writer, limit int64) *output {
	if limit <= 0 {
		limit = DefaultMax
	}
	if sink == nil {
		sink = io.Discard
	}
	return &output{name: name, from: from, sink: sink, max: limit, done: make(chan struct{})}
}

// pump reads until the stream ends or is closed. It reads on after the limit
// and after a failure of the sink, so that the command is not held up by them.
func (o *output) pump() {
	defer close(o.done)
	buf := make([]byte, chunk)
	left := o.max
	for {
		n, err := o.from.Read(buf)
		if n > 0 {
			o.pass(buf[:n], &left)
		}
		if err != nil {
			return
		}
	}
}

func (o *output) pass(b []byte, left *int64) {
	if *left < 0 {
		return // the note has been written
	}
	keep := min(int64(len(b)), *left)
	o.write(b[:keep], false)
	*left -= keep
	if int64(len(b)) > keep {
		*left = -1
		o.write(fmt.Appendf(nil, "\n[truncated at %d bytes]\n", o.max), true)
	}
}

// write gives b to the sink; note says that b is the note.
func (o *output) write(b []byte, note bool) {
	o.mu.Lock()
	if len(b) == 0 || o.closed || o.err != nil {
		o.mu.Unlock()
		return
	}
	o.writing, o.truncated = true, o.truncated || note
	o.mu.Unlock()

	n, err := o.sink.Write(b)

	o.mu.Lock()
	defer o.mu.Unlock()
	o.writing = false
	if o.closed {
		return // its figures have been reported
	}
	o.taken += int64(max(n, 0))
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		o.err = fmt.Errorf("cannot store %s: %w", o.name, err)
	}
}

// drain waits until the stream has ended, at the latest until the deadline,
// and closes it. After that the sink is called no more.
func (o *output) drain(deadline time.Time) figures {
	// A stream that somebody else holds open ends here; a pipe always can.
	_ = o.from.SetReadDeadline(deadline)
	t := time.NewTimer(time.Until(deadline))
	defer t.Stop()
	select {
	case <-o.done:
	case <-t.C:
	}
	_ = o.from.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	if o.writing && o.err == nil {
		o.err = fmt.Errorf("cannot store all of %s: its sink does not take it", o.name)
	}
	return o.figures
}
