package qubes

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"qvmremote/daemon/paths"
	"qvmremote/queue"
)

const (
	maxWord  = 4 << 10 // bytes of a subject, a name, a key, or a value that is kept
	maxEvent = 1 << 20 // bytes of a whole event, most of them values that nobody here wants
	maxPath  = 100     // bytes of a socket's path that every kernel takes

	eventsRequest = "admin.Events+ dom0 name dom0\x00"
	established   = "connection-established" // the first event: from here on none is missed
)

// ErrNoEvents says that qubesd has no socket here.
var ErrNoEvents = errors.New("qubesd has no socket here")

// event is what qubesd says has happened. Most of what it says with it is read
// over.
type event struct {
	subject string // a qube, or "" for the system
	name    string
	vm      string // the qube that an event of the system is about
}

// meaning is what an event is a reason for.
type meaning int

const (
	nothing meaning = iota
	again           // look at the qube again
	leaves          // and do not call it meanwhile: it is about to shut down
	stays           // and call it if it runs: it was shut down, or was not
)

// meanings has the events after which a qube may be in another state, or look
// another way. There are many more; some of them a qube can cause at will.
var meanings = map[string]meaning{
	"domain-pre-shutdown": leaves, "domain-shutdown-failed": stays, "domain-stopped": stays, "domain-shutdown": stays,
	"domain-spawn": stays, "domain-start": stays, "domain-start-failed": stays, "domain-add": stays, "domain-delete": stays,
	"domain-paused": again, "domain-unpaused": again, "property-set:label": again, "property-reset:label": again,
}

// means tells what the event is a reason for, and for which qube, "" for all.
func (e event) means() (qube string, m meaning) {
	qube, m = e.subject, meanings[e.name]
	if e.subject == "" {
		qube = e.vm
	}
	switch {
	case queue.ValidQube(qube):
		return qube, m
	case e.subject != "": // dom0, or a qube that is left out of every list
		return "", nothing
	}
	return "", m
}

// eventReader reads what qubesd sends.
type eventReader struct {
	in   *bufio.Reader
	left int // bytes that this event may still have
}

func newEventReader(r io.Reader) *eventReader { return &eventReader{in: bufio.NewReader(r)} }

// begun waits for the first byte of the next event.
func (r *eventReader) begun() error {
	_, err := r.in.Peek(1)
	if errors.Is(err, io.EOF) {
		return errors.New("qubesd ended the connection")
	}
	return err
}

// next reads one event: "1", subject and name, then pairs of key and value up to
// an empty key, each ended by a NUL.
func (r *eventReader) next() (e event, err error) {
	r.left = maxEvent
	kind, err := r.word()
	if err != nil {
		return e, err
	}
	switch kind {
	case "1":
	case "2":
		return e, r.exception()
	default:
		return e, fmt.Errorf("qubesd sent no event, but %s", queue.Quote(kind, 40))
	}
	if e.subject, err = r.word(); err != nil {
		return e, err
	}
	if e.name, err = r.word(); err != nil {
		return e, err
	}
	if e.name == "" {
		return e, errors.New("qubesd sent an event without a name")
	}
	for {
		key, err := r.word()
		switch {
		case err != nil:
			return e, err
		case key == "":
			return e, nil
		case !identifier(key): // such as the beginning of another event, because this one broke off
			return e, fmt.Errorf("qubesd sent the event %s with the key %s", queue.Quote(e.name, 40), queue.Quote(key, 40))
		case key == "vm":
			e.vm, err = r.word()
		default:
			err = r.skip()
		}
		if err != nil {
			return e, err
		}
	}
}

// exception reads the rest of an answer that refuses.
func (r *eventReader) exception() error {
	what, err := r.word()
	if err == nil {
		err = r.skip() // where it happened
	}
	if err != nil {
		return err
	}
	why, err := r.word()
	if err != nil {
		return err
	}
	return fmt.Errorf("qubesd refuses to tell of events: %s: %s", queue.Quote(what, 40), queue.Quote(why, 200))
}

// word reads up to the next NUL, and skip reads over as much.
func (r *eventReader) word() (string, error) {
	var b strings.Builder
	for {
		c, err := r.byte()
		if err != nil || c == 0 {
			return b.String(), err
		}
		if b.Len() == maxWord {
			return "", fmt.Errorf("qubesd sent a word of more than %d bytes", maxWord)
		}
		b.WriteByte(c)
	}
}

func (r *eventReader) skip() error {
	for {
		if c, err := r.byte(); err != nil || c == 0 {
			return err
		}
	}
}

func (r *eventReader) byte() (byte, error) {
	if r.left == 0 {
		return 0, fmt.Errorf("qubesd sent an event of more than %d bytes", maxEvent)
	}
	r.left--
	c, err := r.in.ReadByte()
	if errors.Is(err, io.EOF) {
		err = errors.New("qubesd broke off in the middle of an event")
	}
	return c, err
}

// identifier: keys are names of Python's.
func identifier(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" && (s[0] < '0' || s[0] > '9')
}

// askForEvents connects to qubesd and asks it to tell of events.
func askForEvents(ctx context.Context, root paths.Root, wait time.Duration) (*net.UnixConn, error) {
	path, err := socket(root)
	if err != nil {
		return nil, err
	}
	if len(path) > maxPath {
		dir, err := os.Open(filepath.Dir(path))
		if err != nil {
			return nil, fmt.Errorf("cannot reach qubesd: %w", err)
		}
		defer func() { _ = dir.Close() }()
		path = fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path))
	}
	dialer := net.Dialer{Timeout: wait}
	c, err := dialer.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("cannot reach qubesd: %w", err)
	}
	conn := c.(*net.UnixConn)
	err = conn.SetDeadline(time.Now().Add(wait))
	if err == nil {
		_, err = io.WriteString(conn, eventsRequest)
	}
	if err == nil {
		err = conn.CloseWrite() // qubesd reads to the end
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("cannot ask qubesd: %w", err)
	}
	return conn, nil
}

// socket is where qubesd listens. With a root other than "/" it refuses one that
// lies elsewhere, so that a test never meets the real qubesd.
func socket(root paths.Root) (string, error) {
	path := root.Qubesd()
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("%w: %s", ErrNoEvents, path)
	}
	if err != nil {
		return "", fmt.Errorf("cannot find qubesd: %w", err)
	}
	if root.Real() {
		return path, nil
	}
	own, err := filepath.EvalSymlinks(string(root))
	if err == nil && !strings.HasPrefix(target, strings.TrimSuffix(own, "/")+"/") {
		err = fmt.Errorf("%s is %s, but the root is %s: a test must bring its own qubesd", path, target, root)
	}
	return target, err
}
