// Package logbook reads the log of a qube as a desktop program shows it: the
// newest line first, older ones by page when they are wanted, new ones as they
// are written. It guarantees:
//   - Each line comes once and in its order, also where the log is rotated or cut
//     meanwhile.
//   - A call reads at most a few MiB, whatever the log holds, and keeps the
//     beginning of a line that has no end.
//   - Nothing but a regular file is read, and nothing waits for one.
package logbook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"qvmremote/client"
	"qvmremote/client/watch"
	"qvmremote/queue"
)

const (
	chunk    = 64 << 10 // bytes of one read
	most     = 4 << 20  // bytes that a call reads
	lineMost = 4 << 10  // bytes of a line that are kept
)

// Watch calls tell when there may be new lines, until ctx ends.
func Watch(ctx context.Context, c *client.Client, tell func()) error {
	return watch.Follow(ctx, watch.Paces{Rest: 100 * time.Millisecond, Blind: 5 * time.Second}, &watcher{c, tell})
}

type watcher struct {
	c    *client.Client
	tell func()
}

// Watch watches for lines that are added and logs that are rotated.
func (f *watcher) Watch(w *watch.Watcher) error {
	path := f.c.Layout.AuditLog()
	return w.FolderOrBirth(filepath.Dir(path), unix.IN_CREATE|unix.IN_MOVED_TO|unix.IN_MODIFY|unix.IN_DELETE, func(name string) bool {
		return name == filepath.Base(path)
	})
}

// Look tells; what is new only a reader knows.
func (f *watcher) Look(context.Context, *watch.Watcher, bool) (time.Duration, error) {
	f.tell()
	return watch.Never, nil
}

// Line is a line of the log, or its beginning. It may hold anything; see
// [queue.Escape].
type Line struct {
	Text string
	Cut  bool // there is more of it
}

// Reader reads one log under one filter. Its methods may be called by several
// goroutines, which wait for each other.
type Reader struct {
	path string
	text string // lower case

	mu    sync.Mutex
	files []*log // the newest first; older ones come from them in turn
	end   int64  // in the newest: where what was not read yet begins
}

// log is one file, of which the bytes before pos are still to be read.
type log struct {
	f     *os.File
	pos   int64
	carry []byte // beginning, as far as is known, of the line that ends at pos
	long  bool   // that line is longer
}

// Open begins at the end of the log, with the lines that hold text, in capitals
// or not; all for "". No log is an empty one.
func Open(ctx context.Context, c *client.Client, text string) (*Reader, error) {
	r := &Reader{path: c.Layout.AuditLog(), text: strings.ToLower(text)}
	for _, path := range []string{r.path, r.path + ".1"} {
		l, err := open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil && path == r.path {
			r.Close()
			return nil, fmt.Errorf("cannot read the log: %w", err)
		}
		if err == nil {
			r.files = append(r.files, l)
		}
		if err == nil && path == r.path {
			r.end = l.pos
		}
	}
	return r, ctx.Err()
}

// open opens a log and finds the end of its last whole line.
func open(path string) (*log, error) {
	f, size, err := queue.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	from := max(size-chunk, 0)
	b, err := io.ReadAll(io.NewSectionReader(f, from, size-from))
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	l := &log{f: f, pos: size}
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		l.pos = from + int64(i) + 1
	}
	return l, nil
}

// Close lets go of the files.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.files {
		_ = l.f.Close()
	}
	r.files = nil
}

// Older reads about n lines before those it has read, the newest first, and
// whether there are more. It may return none while there are.
func (r *Reader) Older(ctx context.Context, n int) (lines []Line, more bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for read := int64(0); len(lines) < n && read < most; read += chunk {
		l := r.oldest()
		if l == nil {
			return lines, false, nil
		}
		if err := ctx.Err(); err != nil {
			return lines, true, err
		}
		err := l.back(func(line Line) {
			if r.fits(line) {
				lines = append(lines, line)
			}
		})
		if err != nil {
			l.pos, l.carry = 0, nil // so that it is said once
			return lines, true, fmt.Errorf("cannot read the log: %w", err)
		}
	}
	return lines, r.oldest() != nil, nil
}

// oldest is the newest log that has something before what was read.
func (r *Reader) oldest() *log {
	for _, l := range r.files {
		if l.pos > 0 {
			return l
		}
	}
	return nil
}

func (r *Reader) fits(l Line) bool {
	return r.text == "" || strings.Contains(strings.ToLower(l.Text), r.text)
}

// back hands on the lines of one more chunk, the last one first.
func (l *log) back(use func(Line)) error {
	from := max(l.pos-chunk, 0)
	b := make([]byte, l.pos-from)
	if n, err := l.f.ReadAt(b, from); err != nil && !errors.Is(err, io.EOF) {
		return err
	} else if n < len(b) { // it was cut meanwhile
		b = b[:n]
	}
	l.pos = from
	for {
		i := bytes.LastIndexByte(b, '\n')
		line := append(bytes.Clone(b[i+1:]), l.carry...)
		long := l.long || len(line) > lineMost
		line = line[:min(len(line), lineMost)]
		if i < 0 && from > 0 { // it begins before this chunk
			l.carry, l.long = line, long
			return nil
		}
		l.carry, l.long = nil, false
		if len(line) > 0 {
			use(Line{string(line), long})
		}
		if i < 0 {
			return nil
		}
		b = b[:i]
	}
}

// Newer reads what was written since the last call, the newest first. With
// missed that is more than it reads: begin again with another Reader.
func (r *Reader) Newer(ctx context.Context) (lines []Line, missed bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range 3 { // what is left of a log, the one after it, and one that is rotated just now
		if err := ctx.Err(); err != nil {
			return lines, false, err
		}
		if len(r.files) > 0 {
			some, missed, err := r.forward()
			if lines = append(some, lines...); err != nil || missed {
				return lines, missed, err
			}
		}
		rotated, err := r.rotate()
		if err != nil || !rotated {
			return lines, false, err
		}
	}
	return lines, false, nil
}

// forward reads the newest log on.
func (r *Reader) forward() (lines []Line, missed bool, err error) {
	f := r.files[0].f
	info, err := f.Stat()
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the log: %w", err)
	}
	size := info.Size()
	if size < r.end { // it was cut: what is there is new
		r.end = 0
	}
	if size-r.end > most {
		return nil, true, nil
	}
	b, err := io.ReadAll(io.NewSectionReader(f, r.end, size-r.end))
	if err != nil {
		return nil, false, fmt.Errorf("cannot read the log: %w", err)
	}
	whole := bytes.LastIndexByte(b, '\n') + 1
	r.end += int64(whole)
	for text := range bytes.Lines(b[:whole]) {
		text = bytes.TrimSuffix(text, []byte("\n"))
		line := Line{string(text[:min(len(text), lineMost)]), len(text) > lineMost}
		if line.Text != "" && r.fits(line) {
			lines = append(lines, line)
		}
	}
	slices.Reverse(lines)
	return lines, false, nil
}

// rotate goes on to the file that has the log's name now, if that is another one.
func (r *Reader) rotate() (bool, error) {
	f, _, err := queue.OpenRegular(r.path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot read the log: %w", err)
	}
	if len(r.files) > 0 {
		now, err := f.Stat()
		was, werr := r.files[0].f.Stat()
		if err != nil || werr != nil || os.SameFile(now, was) {
			_ = f.Close()
			return false, errors.Join(err, werr)
		}
	}
	r.files = append([]*log{{f: f}}, r.files...)
	r.end = 0
	for len(r.files) > 3 { // what was rotated away long ago
		last := len(r.files) - 1
		_ = r.files[last].f.Close()
		r.files = r.files[:last]
	}
	return true, nil
}
