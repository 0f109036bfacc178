// Package watch says that folders or files changed, by inotify. It guarantees:
//   - After [Watcher.Add] returned, no change is missed: a full event queue or
//     a watched folder that went away count as a change too.
//   - Any number of changes make one signal until it is taken, so a writer
//     that never rests costs its reader no memory.
//   - Where the system has no inotify instance or watch left, the watcher signals at a
//     fixed pace instead, so that its user is late but not blind.
package watch

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Keep says whether a change of the file name in a watched folder counts. The
// name is whatever lies there: it never passed any check. It is called once for
// each change, before its signal, on the watcher's own goroutine.
type Keep func(name string) bool

// Watcher signals changes. Use one goroutine for [Watcher.Add] and the signals.
type Watcher struct {
	f       *os.File // nil without inotify
	changed chan struct{}
	done    chan struct{}
	pace    time.Duration
	slow    sync.Once

	mu      sync.Mutex
	watches map[int32]watched
	lost    bool
	missed  bool
}

type watched struct {
	keep   Keep
	folder bool
}

// selfGone is what happens to a folder that is no longer where it was.
const selfGone = unix.IN_DELETE_SELF | unix.IN_MOVE_SELF | unix.IN_UNMOUNT | unix.IN_IGNORED

// New returns a watcher that watches nothing yet. Where inotify cannot be had
// it signals every pace. Close it after use.
func New(pace time.Duration) *Watcher {
	w := &Watcher{changed: make(chan struct{}, 1), done: make(chan struct{}), pace: pace, watches: map[int32]watched{}}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		w.slow.Do(func() { go w.tick(pace) })
		return w
	}
	w.f = os.NewFile(uintptr(fd), "inotify")
	go w.read()
	return w
}

// Folder watches the folder path for the inotify events in mask on names that
// keep accepts, and for its own removal or renaming. A second watch of the same
// folder adds to the first: each keep is asked about the events of both.
func (w *Watcher) Folder(path string, mask uint32, keep Keep) error {
	return w.add(path, mask|unix.IN_DELETE_SELF|unix.IN_MOVE_SELF|unix.IN_ONLYDIR, watched{keep: keep, folder: true})
}

// Content watches one file for writes; a symlink is not followed. Its removal
// is no change.
func (w *Watcher) Content(path string) error {
	return w.add(path, unix.IN_MODIFY|unix.IN_DONT_FOLLOW, watched{})
}

func (w *Watcher) add(path string, mask uint32, what watched) error {
	if w.f == nil {
		return nil
	}
	conn, err := w.f.SyscallConn()
	if err != nil {
		return err
	}
	w.mu.Lock() // an event must not be read before its watch is known
	defer w.mu.Unlock()
	var wd int
	cerr := conn.Control(func(fd uintptr) { wd, err = unix.InotifyAddWatch(int(fd), path, mask|unix.IN_MASK_ADD) })
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) { // no watch left
		w.slow.Do(func() { go w.tick(w.pace) })
		return nil
	}
	if err := errors.Join(cerr, err); err != nil {
		return fmt.Errorf("cannot watch %s: %w", path, err)
	}
	if before, ok := w.watches[int32(wd)]; ok && before.keep != nil && what.keep != nil {
		second := what.keep
		what.keep = func(name string) bool { // both are asked: they may take note
			first := before.keep(name)
			return second(name) || first
		}
	}
	w.watches[int32(wd)] = what
	return nil
}

// Changed receives a value after one or more changes.
func (w *Watcher) Changed() <-chan struct{} { return w.changed }

// Lost reports whether a watched folder went away. Then close this watcher and
// begin again with a new one.
func (w *Watcher) Lost() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lost
}

// Missed reports whether since it was last called there may have been changes
// that no [Keep] was asked about: the event queue was full, or there is no
// inotify. Who takes note of names in a Keep then has to look at all of them.
func (w *Watcher) Missed() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	missed := w.missed
	w.missed = false
	return missed
}

// Close ends the signals.
func (w *Watcher) Close() {
	close(w.done)
	if w.f != nil {
		_ = w.f.Close()
	}
}

func (w *Watcher) signal() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *Watcher) tick(pace time.Duration) {
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		select {
		case <-w.done:
			return
		case <-t.C:
			w.mu.Lock()
			w.missed = true
			w.mu.Unlock()
			w.signal()
		}
	}
}

func (w *Watcher) read() {
	buf := make([]byte, 16<<10)
	for {
		n, err := w.f.Read(buf)
		if err != nil {
			return // closed; inotify has no other end
		}
		if w.counts(parse(buf[:n])) {
			w.signal()
		}
	}
}

func (w *Watcher) counts(events []event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := false
	for _, e := range events {
		switch what, known := w.watches[e.wd]; {
		case e.mask&unix.IN_Q_OVERFLOW != 0:
			counts, w.missed = true, true
		case !known:
		case e.mask&selfGone != 0 && e.name == "":
			w.lost = w.lost || what.folder
			counts = counts || what.folder
		case !what.folder, what.keep(e.name):
			counts = true
		}
	}
	return counts
}

type event struct {
	wd   int32
	mask uint32
	name string
}

// parse takes apart what one read of an inotify descriptor gave. Bytes that
// are no whole event end it.
func parse(b []byte) []event {
	var list []event
	for len(b) >= unix.SizeofInotifyEvent {
		e := event{wd: int32(binary.NativeEndian.Uint32(b)), mask: binary.NativeEndian.Uint32(b[4:])}
		size := binary.NativeEndian.Uint32(b[12:])
		b = b[unix.SizeofInotifyEvent:]
		if uint64(size) > uint64(len(b)) {
			return list
		}
		name := b[:size]
		b = b[size:]
		for i, c := range name {
			if c == 0 {
				name = name[:i]
				break
			}
		}
		e.name = string(name)
		list = append(list, e)
	}
	return list
}
