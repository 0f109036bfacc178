package dbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// ExportAudit writes all records to w as "jsonl", "csv" or "text", and returns
// how many bytes that were. A full log takes long: give ctx a deadline that
// fits. When it fails, w may have a part. A write that hangs is not cut short.
func (c *Client) ExportAudit(ctx context.Context, w io.Writer, format string) (int64, error) {
	ctx, stop := withPatience(ctx, longPatience)
	defer stop()
	read, write, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("cannot make a pipe for the export: %w", err)
	}
	defer read.Close()
	// What ends the context also ends the reading.
	defer context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Unix(1, 0)) })()

	s := newSink(w)
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(s, read)
		if s.failed != nil {
			stop() // or the service fills the pipe and waits for a reader
		}
		done <- err
	}()
	r := manager("ExportAudit", godbus.UnixFD(write.Fd()), format).slowly()
	r.files = []*os.File{write}
	var size uint64
	refused := c.call(ctx, r, &size)
	if refused != nil {
		stop()
		<-done
		return s.n, firstError(s.failure(), refused)
	}
	// The end of the pipe, or all bytes: a service that keeps its end open is
	// not waited for.
	select {
	case <-s.expect(size):
		stop()
		err = <-done
	case err = <-done:
	}
	return s.n, firstError(s.failure(), s.missing(ctx, size, err))
}

// sink writes, counts, and tells when all is written.
type sink struct {
	w      io.Writer
	failed error // of w

	mu   sync.Mutex
	n    int64
	size int64 // -1: not known yet
	full chan struct{}
}

func newSink(w io.Writer) *sink { return &sink{w: w, size: -1, full: make(chan struct{})} }

// failure is what ended the writing, if anything did; for when it is over.
func (s *sink) failure() error {
	if s.failed == nil {
		return nil
	}
	return fmt.Errorf("cannot write the export: %w", s.failed)
}

// missing is why there are not as many bytes as were promised, nil when there
// are; read is what the reading ended with.
func (s *sink) missing(ctx context.Context, size uint64, read error) error {
	switch {
	case uint64(s.n) == size:
		return nil
	case errors.Is(read, os.ErrDeadlineExceeded):
		return plainError(ctx.Err())
	}
	return &Error{Code: Failed, Text: fmt.Sprintf("the export is incomplete: %d of %d bytes came", s.n, size)}
}

func (s *sink) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	s.failed = err
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.n
	s.n += int64(n)
	if s.size >= 0 && before < s.size && s.n >= s.size {
		close(s.full)
	}
	return n, err
}

// expect says how many bytes there are; the channel is closed once they came.
func (s *sink) expect(size uint64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.size = int64(min(size, 1<<62))
	if s.n >= s.size {
		close(s.full)
	}
	return s.full
}
