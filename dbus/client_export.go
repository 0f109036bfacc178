package dbus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	godbus "github.com/godbus/dbus/v5"
)

// ExportAudit writes all records to w as "jsonl", "csv" or "text", and returns
// how many bytes that were. A full log takes long: give ctx a deadline that
// fits. When it fails, w may have a part.
func (c *Client) ExportAudit(ctx context.Context, w io.Writer, format string) (int64, error) {
	ctx, stop := withPatience(ctx, longPatience)
	defer stop()
	read, write, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("cannot make a pipe for the export: %w", err)
	}
	defer read.Close()
	// Whatever ends the context also ends the reading.
	defer context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Unix(1, 0)) })()

	type copied struct {
		n   int64
		err error
	}
	done := make(chan copied, 1)
	go func() {
		n, err := io.Copy(sink{w}, read)
		if failed := new(sinkError); errors.As(err, &failed) {
			stop() // nobody takes any more: do not let the service fill the pipe and wait
		}
		done <- copied{n, err}
	}()
	r := manager("ExportAudit", godbus.UnixFD(write.Fd()), format).slowly()
	r.files = []*os.File{write}
	var size uint64
	failed := c.call(ctx, r, &size)
	if failed != nil {
		stop()
	}
	got := <-done
	sunk := new(sinkError)
	switch {
	case errors.As(got.err, &sunk):
		return got.n, fmt.Errorf("cannot write the export: %w", sunk.error)
	case failed != nil:
		return got.n, failed
	case got.err != nil && ctx.Err() != nil:
		return got.n, plainError(ctx.Err())
	case got.err != nil:
		return got.n, fmt.Errorf("cannot read the export: %w", got.err)
	case uint64(got.n) != size:
		return got.n, &Error{Code: Failed, Text: fmt.Sprintf("the export is incomplete: %d of %d bytes came", got.n, size)}
	}
	return got.n, nil
}

// sink tells errors of writing from those of reading.
type sink struct{ io.Writer }

type sinkError struct{ error }

func (s sink) Write(b []byte) (int, error) {
	n, err := s.Writer.Write(b)
	if err != nil {
		return n, &sinkError{err}
	}
	return n, nil
}
