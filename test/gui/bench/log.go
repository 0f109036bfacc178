package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// moment is a time of the monotonic clock, which all processes share.
type moment int64 // microseconds

func now() moment {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(fmt.Sprintf("this system has no monotonic clock: %v", err))
	}
	return moment(t.Nano() / 1000)
}

func (m moment) since(earlier moment) time.Duration {
	return time.Duration(m-earlier) * time.Microsecond
}

// frame is one that the program drew; gui/frames says what is told.
type frame struct {
	at   moment // it began
	took time.Duration
	work time.Duration // of that its main thread ran
	page string
	told bool // what the program waits for at its start is shown

	rows, held, seen, blank, first int
	top                            uint64
	focus                          string
}

func (f frame) end() moment { return f.at + moment(f.took/time.Microsecond) }

// key is a key press as it came to the program's window.
type key struct {
	at    moment
	sym   uint
	focus string // before it did anything
}

// record is what the program has written so far.
type record struct {
	began  moment // main did
	frames []frame
	keys   []key
}

// parse reads the log that gui/frames writes. A last line without its
// end is still being written.
func parse(text string) (r record, err error) {
	whole := text[:strings.LastIndexByte(text, '\n')+1]
	for line := range strings.Lines(whole) {
		kind, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch kind {
		case "main":
			_, err = fmt.Sscanf(rest, "%d", &r.began)
		case "key":
			var k key
			_, err = fmt.Sscanf(rest, "%d %d %s", &k.at, &k.sym, &k.focus)
			r.keys = append(r.keys, k)
		case "frame":
			var f frame
			var took, work, told int
			_, err = fmt.Sscanf(rest, "%d %d %d %s %d %d %d %d %d %d %d %s", &f.at, &took, &work, &f.page, &told,
				&f.rows, &f.held, &f.seen, &f.blank, &f.first, &f.top, &f.focus)
			f.took, f.work, f.told = time.Duration(took)*time.Microsecond, time.Duration(work)*time.Microsecond, told == 1
			r.frames = append(r.frames, f)
		default:
			err = errors.New("it is of no kind that is known")
		}
		if err != nil {
			return record{}, fmt.Errorf("line %q of the log of frames: %w", line, err)
		}
	}
	return r, nil
}

func readRecord(path string) (record, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return record{}, nil // nothing yet
	}
	if err != nil {
		return record{}, fmt.Errorf("read the log of frames: %w", err)
	}
	return parse(string(text))
}

// after are the frames that began no earlier than that.
func (r record) after(m moment) []frame {
	for i, f := range r.frames {
		if f.at >= m {
			return r.frames[i:]
		}
	}
	return nil
}

// answered is when the frame ended that shows what a key did: the focus is
// somewhere else than it was.
func (r record) answered(k key) (moment, bool) {
	for _, f := range r.after(k.at) {
		if f.focus != k.focus {
			return f.end(), true
		}
	}
	return 0, false
}

// longest is how long the frame took that took longest, and how long the main
// thread ran in the one in which it ran longest.
func longest(frames []frame) (took, work time.Duration) {
	for _, f := range frames {
		took, work = max(took, f.took), max(work, f.work)
	}
	return took, work
}
