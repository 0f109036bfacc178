package poll

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"qvmremote/daemon/qubes"
	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

const (
	magic    = "qvm-remote-poll/1\n"
	maxCalls = 3       // of one qube at once, beside a look: each costs dom0 processes
	maxWords = 6       // of a line; what has more is nothing
	maxLine  = 3 << 20 // a look's scripts are 2 MiB at most, before base64
	maxCall  = 8 << 20 // bytes of an answer without a large part
)

//go:embed poll.sh
var source string

// text is the source as it is typed into a shell, in single quotes: without its
// comments.
var text = func() string {
	var b strings.Builder
	for line := range strings.Lines(source) {
		if trimmed := strings.TrimSpace(line); trimmed != "" && !strings.HasPrefix(trimmed, "#") {
			b.WriteString(strings.TrimLeft(line, "\t"))
		}
	}
	return b.String()
}()

// command is what the qube's shell reads: constant but for the account and the
// deadline. In the qube, too, nothing of it goes on for ever.
func command(account string, limit time.Duration) string {
	return "exec timeout " + strconv.Itoa(int(limit/time.Second)+1) + " /bin/sh -c '" + text + "' qvm-remote-poll /home/" + account + "/" + queue.FolderName
}

// answer is what a call says, line by line.
type answer struct {
	in    *bufio.Reader
	lines int
	left  int // bytes that all lines together may still have
}

// ErrAnswer says that an answer is not whole, or not in the form it has to be.
var ErrAnswer = fmt.Errorf("%w: not a whole answer", transport.ErrProtocol)

// line reads the words of the next line. ok is false at the end mark.
func (a *answer) line() (words []string, ok bool, err error) {
	b, err := a.raw()
	if err != nil {
		return nil, false, err
	}
	words = strings.SplitN(string(b), " ", maxWords+1)
	if words[0] == "end" {
		if len(words) != 2 || words[1] != strconv.Itoa(a.lines) {
			return nil, false, fmt.Errorf("%w: an end mark after %d lines", ErrAnswer, a.lines)
		}
		return nil, false, nil
	}
	a.lines++
	return words, true, nil
}

// raw reads one line of bounded length, without its end.
func (a *answer) raw() ([]byte, error) {
	var line []byte
	for {
		b, err := a.in.ReadSlice('\n')
		if a.left -= len(b); a.left < 0 || len(line)+len(b) > maxLine {
			return nil, fmt.Errorf("%w: too long", ErrAnswer)
		}
		line = append(line, b...)
		switch {
		case err == nil:
			return line[:len(line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("%w: it ends in the middle", ErrAnswer)
		default:
			return nil, err
		}
	}
}

// call runs the text in the qube with in as its stdin, for at most limit, and
// has read read the answer. The caller's exit code is not looked at: a killed
// qvm-run reports success.
func (c *conn) call(ctx context.Context, limit time.Duration, in io.Reader, read func(*answer) error) error {
	done, err := enter(ctx, c, c.slots)
	if err != nil {
		return err
	}
	defer done()
	if c.d.Share != nil && limit <= c.d.Times.Call {
		done, err := enter(ctx, c, c.d.Share.calls)
		if err != nil {
			return err
		}
		defer done()
	}
	return c.begun(ctx, limit, in, read)
}

// begun is call without waiting for its turn: there is one look at a time.
func (c *conn) begun(ctx context.Context, limit time.Duration, in io.Reader, read func(*answer) error) error {
	c.mu.Lock()
	if err := c.Err(); err != nil {
		c.mu.Unlock()
		return err
	}
	c.calls.Add(1)
	c.mu.Unlock()
	defer c.calls.Done()
	if err := c.d.Running(ctx, c.qube); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	err := c.converse(ctx, limit, in, read)
	switch {
	case err == nil:
		return nil
	case c.Err() != nil:
		return c.Err()
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%w: no answer within %s", transport.ErrProtocol, limit)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// converse starts the process, and ends it. It is over when the answer is read,
// whatever a child of it in the qube still holds.
func (c *conn) converse(ctx context.Context, limit time.Duration, in io.Reader, read func(*answer) error) error {
	ctx, kill := context.WithCancel(ctx)
	defer kill()
	cmd := qubes.Command(ctx, c.d.Caller.Path, c.d.Caller.Args(c.qube, command(c.d.Account, inQube(limit)))...)
	said := &transport.Stderr{}
	cmd.Stdin, cmd.Stderr = in, said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", c.d.Caller.Name(), err)
	}
	a := &answer{in: bufio.NewReaderSize(out, 64<<10), left: maxCall}
	if err = transport.SkipNoise(a.in, magic); err == nil {
		err = read(a)
	}
	if err != nil {
		kill()
	}
	defer time.AfterFunc(qubes.Drain, kill).Stop() // a child in the qube may hold its streams
	_ = cmd.Wait()
	if last := said.Last(); err != nil && last != "" {
		err = fmt.Errorf("%w (%s said: %s)", err, c.d.Caller.Name(), last)
	}
	return err
}

// inQube leaves dom0 time to see how a call that took too long ended.
func inQube(limit time.Duration) time.Duration { return limit * 2 / 5 }
