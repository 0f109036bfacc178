package poll

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"qvmremote/queue"
)

// TestShortTokensTakeNoPlace: a version-1 request behind sixteen whose tokens
// were never completed is found.
func TestShortTokensTakeNoPlace(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.d.Legacy = func(string) bool { return true }
	for i := range 16 {
		q.request(fmt.Sprintf("a%02d", i), "", "echo\n") // the disk was full
	}
	q.write(q.layout.Body("b"), "echo\n")
	q.request("z", strings.Repeat("0", 64), "echo z\n")
	c := q.dial()
	if ids, _ := q.names(c); ids != "z" {
		t.Errorf("found %q", ids)
	}
	if script, err := c.Settled(t.Context(), "z", 100); err != nil || string(script) != "echo z\n" {
		t.Errorf("its script is %q, %v", script, err)
	}
	if bare, err := c.Bare(t.Context()); err != nil || len(bare) != 17 {
		t.Errorf("without a token are %q, %v", bare, err)
	}
}

// TestPartThatFails ends the way, as a stream would end: who wants the part
// waits for the next one.
func TestPartThatFails(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	q.write(q.layout.Stdin("a"), "in")
	down := false
	q.d.Running = func(context.Context, string) error {
		if down {
			return errors.New("Halted")
		}
		return nil
	}
	c := q.dial()
	down = true
	if err := c.Copy(t.Context(), io.Discard, "a", queue.PartStdin, 2); err == nil || c.Err() == nil {
		t.Errorf("%v, and the way goes on", err)
	}
}

// TestUnsignedAnswerTwice: repeating it changes nothing.
func TestUnsignedAnswerTwice(t *testing.T) {
	t.Parallel()
	q := newQube(t)
	c := q.dial()
	f := &queue.Finish{ID: "a", Exit: "0", OutSize: 2, Meta: []byte("id=a\n"), Log: "one line"}
	for range 2 {
		if err := c.Finish(t.Context(), f, strings.NewReader("hi"), nil0); err != nil {
			t.Fatal(err)
		}
	}
	q.has(q.layout.AuditLog(), "one line\n")
}
