package client_test

import (
	"bytes"
	"context"
	"os"
	"testing"

	"qvmremote/client"
	"qvmremote/queue"
)

// TestOutputIsWhatWasSigned or an error, wherever it is by then.
func TestOutputIsWhatWasSigned(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	answer(t, c, ticket).put(t)
	o, err := c.Wait(limited(t), ticket, client.Events{})
	if err != nil {
		t.Fatal(err)
	}
	for errs, want := range map[bool]string{false: "out", true: "err"} {
		var b bytes.Buffer
		if n, err := c.Output(limited(t), ticket, o, errs, &b); err != nil || n != 3 || b.String() != want {
			t.Errorf("%q, %d, %v", b.String(), n, err)
		}
	}
	if err := queue.Publish(c.Layout.Result(ticket.ID, queue.Out), []byte("owt")); err != nil {
		t.Fatal(err)
	}
	_, err = c.Output(limited(t), ticket, o, false, &bytes.Buffer{})
	wantError(t, err, client.ErrBadResult)
	ended, end := context.WithCancel(limited(t))
	end()
	_, err = c.Output(ended, ticket, o, true, &bytes.Buffer{})
	wantError(t, err, context.Canceled)
}

// TestOutputHasABound where nobody has signed it yet.
func TestOutputHasABound(t *testing.T) {
	t.Parallel()
	c := newQube(t)
	ticket := submit(t, c, client.Request{Script: []byte("x")})
	path := c.Layout.Result(ticket.ID, queue.Out)
	if err := queue.Publish(path, []byte("so far")); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := c.Output(limited(t), ticket, client.Outcome{}, false, &b); err != nil || b.String() != "so far" {
		t.Errorf("%q, %v", b.String(), err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Fatal(err)
	}
	var n counted
	_, err := c.Output(limited(t), ticket, client.Outcome{}, false, &n)
	wantError(t, err, client.ErrBadResult)
	if n > queue.MaxOutput+1<<10 {
		t.Errorf("%d bytes were written", n)
	}
}

type counted int64

func (c *counted) Write(b []byte) (int, error) {
	*c += counted(len(b))
	return len(b), nil
}
