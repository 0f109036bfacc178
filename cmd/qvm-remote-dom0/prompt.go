package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"golang.org/x/term"

	"qvmremote/queue"
)

// maxTyped bounds what is read of an answer or a key.
const maxTyped = 1 << 10 // bytes

func (a *app) interactive() bool { return term.IsTerminal(int(a.in.Fd())) }

// readKey takes a key from stdin; on a terminal it asks for it without echo.
func (a *app) readKey(ctx context.Context, vm string) (queue.Key, error) {
	var text []byte
	var err error
	if a.interactive() {
		fmt.Fprintf(a.err, "Enter 256-bit hex key for '%s': ", vm)
		text, err = a.secret(ctx)
		fmt.Fprintln(a.err)
	} else {
		text, err = await(ctx, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.in, maxTyped)) })
	}
	if err != nil {
		return queue.Key{}, fmt.Errorf("cannot read the key: %w", err)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return queue.Key{}, fmt.Errorf("no key was given: %w", queue.ErrKey)
	}
	return queue.ParseKey(text)
}

// secret reads a line without echo. The echo comes back whatever happens.
func (a *app) secret(ctx context.Context) ([]byte, error) {
	fd := int(a.in.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return nil, err
	}
	text, err := await(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	return text, errors.Join(err, term.Restore(fd, before))
}

// agrees asks for a typed yes, and takes nothing else for one.
func (a *app) agrees(ctx context.Context, question string) (bool, error) {
	fmt.Fprint(a.out, question)
	line, err := await(ctx, a.line)
	if err != nil {
		return false, fmt.Errorf("cannot read the answer: %w", err)
	}
	return string(line) == "yes", nil
}

// line reads one line byte by byte: what follows it is not ours.
func (a *app) line() ([]byte, error) {
	var line []byte
	b := make([]byte, 1)
	for len(line) < maxTyped {
		n, err := a.in.Read(b)
		if n == 1 && b[0] == '\n' {
			break
		}
		line = append(line, b[:n]...)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	return bytes.TrimSuffix(line, []byte("\r")), nil
}

// await lets ctx end a wait for somebody to type. The read goes on in the
// background until the program ends, which is next.
func await(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type answer struct {
		text []byte
		err  error
	}
	done := make(chan answer, 1)
	go func() {
		text, err := read()
		done <- answer{text, err}
	}()
	select {
	case got := <-done:
		return got.text, got.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
