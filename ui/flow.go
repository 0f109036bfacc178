//go:build gtk

package ui

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"qvmremote/queue"
)

// Limits of what a Flow keeps: what a program may write at most, twice, and as
// many lines as one looks through. What is over them is counted and left out.
const (
	flowSize   = 24 << 20 // bytes, as shown
	flowPieces = 500_000
	// longestOpen is how much of a line without an end is kept to be cut later, in
	// bytes.
	longestOpen = 4 * pieceLength
)

// Piece is one row of a Flow: a line, or a part of a long one, fit to be shown.
type Piece struct {
	Text string
	Err  bool // of standard error
}

// Flow takes what a program writes, as fast as it comes, and keeps it as pieces.
// Its writers are used by one goroutine, whatever is shown by another; neither
// waits for the other longer than it takes to append to a list.
type Flow struct {
	wake func() // there is something new, told once until Take

	open [2][]byte // of each stream, the line that has not ended; of the writers

	mu      sync.Mutex
	pieces  []Piece
	at      [2]int // where the line that has not ended is shown, -1 for nowhere
	size    int
	left    int64 // bytes that were left out
	changed []int
	woken   bool
}

// NewFlow makes an empty one. wake is called by whoever writes, at most once
// until [Flow.Take].
func NewFlow(wake func()) *Flow { return &Flow{wake: wake, at: [2]int{-1, -1}} }

// Stdout and Stderr take what comes there. They never fail.
func (f *Flow) Stdout() io.Writer { return flowWriter{f, 0} }

// Stderr is Stdout for standard error.
func (f *Flow) Stderr() io.Writer { return flowWriter{f, 1} }

type flowWriter struct {
	flow   *Flow
	stream int
}

func (w flowWriter) Write(b []byte) (int, error) {
	w.flow.write(w.stream, b)
	return len(b), nil
}

func (f *Flow) write(stream int, b []byte) {
	if f.full() {
		f.leave(len(b))
		return
	}
	raw := append(f.open[stream], b...)
	var cut []string
	for {
		end := bytes.IndexByte(raw, '\n')
		if end < 0 {
			break
		}
		cut = appendCut(cut, shown(raw[:end]), true)
		raw = raw[end+1:]
	}
	for len(raw) > longestOpen {
		whole := wholeRunes(raw[:longestOpen])
		cut = appendCut(cut, shown(raw[:whole]), false)
		raw = raw[whole:]
	}
	open := ""
	if n := wholeRunes(raw); n > 0 {
		open = shown(raw[:n])
	}
	f.open[stream] = append(f.open[stream][:0:0], raw...)
	f.add(stream, cut, open, len(raw) > 0)
}

// shown is a line fit to be shown.
func shown(line []byte) string {
	return queue.Escape(strings.ReplaceAll(string(line), "\t", "    "), 0)
}

// appendCut appends a line in pieces; an empty one is a piece where it is whole.
func appendCut(to []string, line string, whole bool) []string {
	for first := whole; first || line != ""; first = false {
		part := cut(line, pieceLength)
		to = append(to, part)
		line = line[len(part):]
	}
	return to
}

// wholeRunes is how much of b does not end within a character.
func wholeRunes(b []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRune(b[len(b)-n:]) {
				return len(b) - n
			}
			break
		}
	}
	return len(b)
}

// add shows the pieces, and the line that has not ended, in the place where its
// beginning is.
func (f *Flow) add(stream int, cut []string, open string, opened bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	put := func(text string) {
		if i := f.at[stream]; i >= 0 {
			f.size += len(text) - len(f.pieces[i].Text)
			f.pieces[i].Text = text
			f.changed = append(f.changed, i)
			f.at[stream] = -1
			return
		}
		f.size += len(text)
		f.pieces = append(f.pieces, Piece{text, stream == 1})
	}
	for _, text := range cut {
		put(text)
	}
	if opened {
		i := f.at[stream]
		put(open)
		if i < 0 {
			i = len(f.pieces) - 1
		}
		f.at[stream] = i
	}
	f.tell()
}

// tell wakes who shows it; the lock is held.
func (f *Flow) tell() {
	if !f.woken && f.wake != nil {
		f.woken = true
		f.wake()
	}
}

func (f *Flow) full() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.size >= flowSize || len(f.pieces) >= flowPieces
}

func (f *Flow) leave(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left += int64(n)
	f.tell()
}

// Take is how many pieces there are, which of them are others than before, and
// how many bytes were left out.
func (f *Flow) Take() (pieces int, changed []int, left int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed, f.changed, f.woken = f.changed, nil, false
	return len(f.pieces), changed, f.left
}

// Piece is one of them; the zero Piece where there is none.
func (f *Flow) Piece(i int) Piece {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i < 0 || i >= len(f.pieces) {
		return Piece{}
	}
	return f.pieces[i]
}

// Text is all of it, at most so many bytes; whole is false where there is more.
func (f *Flow) Text(max int) (text string, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for _, p := range f.pieces {
		if b.Len()+len(p.Text)+1 > max {
			return b.String(), false
		}
		b.WriteString(p.Text)
		b.WriteByte('\n')
	}
	return b.String(), f.left == 0
}

// Search is which pieces have the words, whatever their case: at most max, and
// whether there are no more. It takes its time; stop ends it.
func (f *Flow) Search(words string, max int, stop func() bool) (found []int, whole bool) {
	words = strings.ToLower(words)
	const batch = 2000
	for next := 0; ; {
		f.mu.Lock()
		pieces := append([]Piece(nil), f.pieces[min(next, len(f.pieces)):min(next+batch, len(f.pieces))]...)
		f.mu.Unlock()
		if len(pieces) == 0 || stop() {
			return found, true
		}
		for i, p := range pieces {
			if !strings.Contains(strings.ToLower(p.Text), words) {
				continue
			}
			if len(found) == max {
				return found, false
			}
			found = append(found, next+i)
		}
		next += len(pieces)
	}
}
