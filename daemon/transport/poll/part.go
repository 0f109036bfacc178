package poll

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"qvmremote/daemon/transport"
	"qvmremote/queue"
)

var errGone = &queue.Failure{Code: queue.CodeGone, Text: "it is not in the queue any more"}

// ReadHeader is of what the last look found.
func (c *conn) ReadHeader(_ context.Context, id string, part queue.Part) ([]byte, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var header []byte
	if part == queue.PartHeader {
		r := c.found.of(id)
		if r == nil {
			return nil, errGone
		}
		header = r.header
	} else {
		i := 0
		for i < len(c.found.cancels) && c.found.cancels[i].id != id {
			i++
		}
		if i == len(c.found.cancels) {
			return nil, errGone
		}
		header = c.found.cancels[i].header
	}
	if len(header) > queue.MaxHeader {
		return nil, queue.ErrTooLarge
	}
	return bytes.Clone(header), nil
}

// Copy takes a script that a look brought, else makes a call for it.
func (c *conn) Copy(ctx context.Context, w io.Writer, id string, part queue.Part, size int64) error {
	c.mu.Lock()
	c.known[id] = true
	c.stir()
	var script []byte
	brought := false
	if r := c.found.of(id); r != nil && part == queue.PartBody {
		brought = r.script != nil && r.length == size
		script = r.script
		r.script = nil // it is read once
		if r.length >= 0 && r.length != size {
			c.mu.Unlock()
			return transport.ErrChanged
		}
	}
	c.mu.Unlock()
	if brought {
		return decode(w, bytes.NewReader(script), size)
	}
	return c.fetch(ctx, w, id, part, size)
}

// Settled is what the last look brought: it has read it twice.
func (c *conn) Settled(_ context.Context, id string, max int64) ([]byte, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.found.of(id)
	switch {
	case r == nil || r.length < 0:
		return nil, transport.ErrUnsettled
	case r.length > max:
		return nil, queue.ErrTooLarge
	case r.script == nil:
		return nil, transport.ErrUnsettled
	}
	var b bytes.Buffer
	err := decode(&b, bytes.NewReader(r.script), r.length)
	switch {
	case errors.Is(err, transport.ErrChanged): // it grew between its size and its reads
		return nil, transport.ErrUnsettled
	case err != nil:
		return nil, err
	}
	c.known[id] = true
	c.stir()
	r.script = nil
	return b.Bytes(), nil
}

func (c *conn) Bare(context.Context) ([]string, error) {
	if err := c.Err(); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.found.bare), nil
}

// decode writes exactly size bytes.
func decode(w io.Writer, in io.Reader, size int64) error {
	n, err := io.Copy(w, io.LimitReader(base64.NewDecoder(base64.StdEncoding, in), size+1))
	var bad base64.CorruptInputError
	switch {
	case errors.As(err, &bad), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: base64 that is none", ErrAnswer)
	case err != nil:
		return err
	case n != size:
		return transport.ErrChanged
	}
	return nil
}

// fetch brings a part with a call of its own.
func (c *conn) fetch(ctx context.Context, w io.Writer, id string, part queue.Part, size int64) error {
	name := map[queue.Part]string{queue.PartBody: "body", queue.PartStdin: "stdin"}[part]
	in := fmt.Sprintf("fetch %s %s %d\nend\n", name, id, size)
	limit := c.d.Times.Call
	if size > 1<<20 {
		limit = c.d.Times.Bulk
	}
	err := c.call(ctx, limit, strings.NewReader(in), func(a *answer) error {
		a.left += int(encodedLen(size)) + int(size)/32 // with its line ends
		words, more, err := a.line()
		switch {
		case err != nil:
			return err
		case !more, len(words) == 1 && words[0] == "gone":
			return errGone
		case len(words) != 2 || words[0] != "part":
			return fmt.Errorf("%w: a part is answered with %s", ErrAnswer, queue.Quote(strings.Join(words, " "), 80))
		case words[1] != fmt.Sprint(size):
			return transport.ErrChanged
		}
		part := &lines{a: a}
		if err := decode(w, part, size); err != nil {
			return err
		}
		return part.end()
	})
	var failure *queue.Failure
	if err != nil && ctx.Err() == nil && !errors.As(err, &failure) && !errors.Is(err, transport.ErrChanged) {
		c.fail(err) // as a stream that broke in the middle: the next one brings it
	}
	return err
}

// lines is what stands on the lines up to one with a dot.
type lines struct {
	a    *answer
	rest []byte
	over bool
}

func (l *lines) Read(p []byte) (int, error) {
	for len(l.rest) == 0 {
		if l.over {
			return 0, io.EOF
		}
		line, err := l.a.raw()
		if err != nil {
			return 0, err
		}
		if l.over = string(line) == "."; !l.over {
			l.rest = line
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// end reads the dot, and then the end mark.
func (l *lines) end() error {
	if n, err := io.Copy(io.Discard, l); err != nil || n > 0 {
		return errors.Join(ErrAnswer, err)
	}
	l.a.lines++ // the dot
	_, more, err := l.a.line()
	if err == nil && more {
		err = fmt.Errorf("%w: more than a part", ErrAnswer)
	}
	return err
}

// List makes a call of its own.
func (c *conn) List(ctx context.Context) (queue.Entries, error) {
	var e queue.Entries
	err := c.call(ctx, c.d.Times.Call, strings.NewReader("list\nend\n"), func(a *answer) error {
		for {
			words, more, err := a.line()
			if err != nil || !more {
				return err
			}
			if err := take(&e, words); err != nil {
				return err
			}
		}
	})
	return e, err
}

// take adds one line of a list.
func take(e *queue.Entries, words []string) error {
	bad := fmt.Errorf("%w: a list says %s", ErrAnswer, queue.Quote(strings.Join(words, " "), 80))
	if len(words) == 2 && words[0] == "more" {
		n, err := number(words[1])
		if err != nil {
			return bad
		}
		e.More += n
		return nil
	}
	if len(words) != 6 || words[0] != "entry" || len(e.List) == queue.MaxNames {
		return bad
	}
	entry := queue.Entry{Folder: queue.Folder(words[1]), Name: words[2]}
	var err, again error
	entry.Size, err = number(words[3])
	entry.Age, again = number(strings.TrimPrefix(words[4], "-"))
	switch {
	case err != nil || again != nil:
		return bad
	case !queue.ValidName(entry.Folder, entry.Name):
		e.More++
		return nil
	case strings.HasPrefix(words[4], "-"):
		entry.Age = 0 // of a file of the future
	}
	if words[5] != "-" {
		entry.Word = string(queue.Word(words[5]))
	}
	e.List = append(e.List, entry)
	return nil
}
