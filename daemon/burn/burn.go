// Package burn keeps the ids that requests of version 1 used up, one list for
// each qube and key. The token of such a request is good for ever, so that the
// list is all that keeps it from being used again.
//
// It guarantees that an id it took is on the disk, that it never loses one, and
// that a list which lost one is found out by its length. An id is never removed.
package burn

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// Max is how many ids a list may hold; then its qube needs a new key.
const Max = 1_000_000

var (
	// ErrLost says that a list is missing or shorter than it was.
	ErrLost = errors.New("the list of used version-1 ids lost some; the qube needs a new key")
	// ErrFull says that a list has [Max] ids.
	ErrFull = fmt.Errorf("%d version-1 ids of this key are used up; the qube needs a new key", Max)
)

// List is the ids of one qube and key. It may be used by several goroutines.
type List struct {
	mu     sync.Mutex
	path   string
	used   map[digest]struct{}
	claims int64 // of them, those of requests that were claimed
	broken error // an append failed half way, which only a new opening mends
}

// digest stands for an id: there may be a million.
type digest [16]byte

func digestOf(id string) digest {
	sum := sha256.Sum256([]byte(id))
	return digest(sum[:16])
}

// Name is a fingerprint as a list's name has it.
func Name(fingerprint string) string { return strings.ReplaceAll(fingerprint, " ", "") }

// path is dir/<vm>.<fingerprint>; the names come from dom0's own files.
func path(dir, vm, fingerprint string) (string, error) {
	fingerprint = Name(fingerprint)
	if !queue.ValidQube(vm) || len(fingerprint) != 32 || strings.Trim(fingerprint, "0123456789abcdef") != "" {
		return "", fmt.Errorf("cannot name the list of used ids of %s", queue.Quote(vm, 40))
	}
	return filepath.Join(dir, vm+"."+fingerprint), nil
}

// Create makes an empty list, or leaves the one that is there alone. Only who
// knows that no id of the key was ever used may call it.
func Create(dir, vm, fingerprint string) error {
	p, err := path(dir, vm, fingerprint)
	if err != nil {
		return err
	}
	if err := disk.Mkdir("burn.folder", dir, 0o700); err != nil {
		return fmt.Errorf("cannot make the list of used ids: %w", err)
	}
	if err := disk.Create("burn.create", p, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("cannot make the list of used ids: %w", err)
	}
	return nil
}

// Open reads a list for the one process that adds to it. The error is [ErrLost]
// when it is missing, is not one, or has fewer than atLeast ids of requests that
// were claimed. What a crash left of the last line is cut off: its id is taken
// again by whoever has it recorded.
func Open(dir, vm, fingerprint string, atLeast int64) (*List, error) {
	l, err := load(dir, vm, fingerprint, atLeast, true)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Check is Open for another process: it changes nothing.
func Check(dir, vm, fingerprint string, atLeast int64) error {
	_, err := load(dir, vm, fingerprint, atLeast, false)
	return err
}

func load(dir, vm, fingerprint string, atLeast int64, mend bool) (*List, error) {
	p, err := path(dir, vm, fingerprint)
	if err != nil {
		return nil, err
	}
	l := &List{path: p}
	if err := l.read(mend); err != nil {
		return nil, err
	}
	if l.claims < atLeast {
		return nil, fmt.Errorf("%w: %s has %d, at least %d were used", ErrLost, p, l.claims, atLeast)
	}
	return l, nil
}

// unclaimed marks the line of an id that was refused and never claimed; no id
// begins with it.
const unclaimed = "-"

func (l *List) file() (*os.File, error) {
	f, err := os.OpenFile(l.path, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%w: %w", ErrLost, err)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open the list of used ids: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no plain file", ErrLost, l.path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func (l *List) read(mend bool) error {
	f, err := l.file()
	if err != nil {
		return err
	}
	defer f.Close()
	const most int64 = Max * (queue.MaxID + 2) // a mark, the id, a line end
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil || int64(len(text)) > most {
		return errors.Join(fmt.Errorf("cannot read %s, or it is too long", l.path), err)
	}
	whole := bytes.LastIndexByte(text, '\n') + 1
	if whole != len(text) && mend {
		err := f.Truncate(int64(whole))
		if err == nil {
			err = disk.Sync("burn.cut", f)
		}
		if err != nil {
			return fmt.Errorf("cannot mend the list of used ids: %w", err)
		}
	}
	used, claims := make(map[digest]struct{}, 1024), int64(0)
	for line := range bytes.Lines(text[:whole]) {
		id, refused := strings.CutPrefix(string(bytes.TrimSuffix(line, []byte("\n"))), unclaimed)
		if !queue.ValidID(id) {
			return fmt.Errorf("%w: %s has a line that is no id", ErrLost, l.path)
		}
		if _, again := used[digestOf(id)]; !again && !refused {
			claims++
		}
		used[digestOf(id)] = struct{}{}
	}
	for d := range l.used { // what was read before
		if _, there := used[d]; !there {
			return fmt.Errorf("%w: %s", ErrLost, l.path)
		}
	}
	l.used, l.claims = used, claims
	return nil
}

// Has reports whether the id was used.
func (l *List) Has(id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, used := l.used[digestOf(id)]
	return used
}

// Len is how many ids were used.
func (l *List) Len() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.used))
}

// Add takes the id of a claimed request; it may be taken already. When it
// returned nil the id is on the disk.
func (l *List) Add(id string) error { return l.add(id, "") }

// AddRefused takes the id of a request that was refused and not claimed.
func (l *List) AddRefused(id string) error { return l.add(id, unclaimed) }

func (l *List) add(id, mark string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, used := l.used[digestOf(id)]
	switch {
	case used:
		return nil
	case !queue.ValidID(id):
		return fmt.Errorf("%s is no id", queue.Quote(id, 40))
	case len(l.used) >= Max:
		return ErrFull
	}
	if l.broken != nil {
		if err := l.read(true); err != nil {
			return err
		}
		l.broken = nil
	}
	if err := l.append(mark + id + "\n"); err != nil {
		l.broken = err
		return err
	}
	l.used[digestOf(id)] = struct{}{}
	if mark == "" {
		l.claims++
	}
	return nil
}

func (l *List) append(line string) error {
	f, err := l.file()
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err = f.Seek(0, io.SeekEnd); err == nil {
		_, err = io.WriteString(f, line)
	}
	if err == nil {
		err = disk.Sync("burn.add", f)
	}
	if err != nil {
		return fmt.Errorf("cannot take a version-1 id: %w", err)
	}
	return nil
}
