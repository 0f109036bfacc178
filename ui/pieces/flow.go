package pieces

import (
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
	longestOpen = 4 * Length
	// block is how many pieces lie together. One list of all would be copied now and
	// then as it grows, and whoever shows it waits for that.
	block = 4096
)

// Piece is one row of a Flow: a line, or a part of a long one, fit to be shown.
type Piece struct {
	Text string
	Err  bool // of standard error
}

// Flow takes what a program writes, as fast as it comes, and keeps it as pieces.
// Its writers are used by one goroutine, whatever is shown by another; neither
// waits for the other longer than it takes to append to a short list.
type Flow struct {
	wake func() // there is something new, told once until Take

	open [2]string // of each stream, the line that has not ended; of the writers

	mu      sync.Mutex
	blocks  [][]Piece // all of block pieces but the last
	pieces  int
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
	raw := f.open[stream] + string(b)
	var cut []string
	for {
		line, rest, ended := strings.Cut(raw, "\n")
		if !ended {
			break
		}
		cut = appendCut(cut, shown(line), true)
		raw = rest
	}
	var open string
	for {
		whole := raw[:wholeRunes(raw)]
		if len(raw) <= longestOpen {
			if open = shown(whole); utf8.RuneCountInString(open) <= Length {
				break
			}
		}
		head := characters(whole, Length)
		cut = appendCut(cut, shown(head), false)
		raw = raw[len(head):]
	}
	f.open[stream] = raw
	f.add(stream, cut, open, len(raw) > 0)
}

// shown is a line fit to be shown.
func shown(line string) string {
	return queue.Escape(strings.ReplaceAll(line, "\t", "    "), 0)
}

// characters is the beginning of s, at most n of them.
func characters(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// wholeRunes is how much of b does not end within a character.
func wholeRunes(b string) int {
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if c := b[len(b)-n]; utf8.RuneStart(c) {
			if !utf8.FullRuneInString(b[len(b)-n:]) {
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
			p := f.piece(i)
			f.size += len(text) - len(p.Text)
			p.Text = text
			f.changed = append(f.changed, i)
			f.at[stream] = -1
			return
		}
		f.size += len(text)
		if f.pieces%block == 0 {
			f.blocks = append(f.blocks, nil)
		}
		last := &f.blocks[len(f.blocks)-1]
		*last = append(*last, Piece{text, stream == 1})
		f.pieces++
	}
	for _, text := range cut {
		put(text)
	}
	if opened {
		i := f.at[stream]
		put(open)
		if i < 0 {
			i = f.pieces - 1
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
	return f.size >= flowSize || f.pieces >= flowPieces
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
	return f.pieces, changed, f.left
}

// Piece is one of them; the zero Piece where there is none.
func (f *Flow) Piece(i int) Piece {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i < 0 || i >= f.pieces {
		return Piece{}
	}
	return *f.piece(i)
}

// piece is one that there is; the lock is held.
func (f *Flow) piece(i int) *Piece { return &f.blocks[i/block][i%block] }

// Text is all of it, at most so many bytes; whole is false where there is more.
func (f *Flow) Text(max int) (text string, whole bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	for i := range f.pieces {
		p := f.piece(i)
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
	for next := 0; ; {
		f.mu.Lock()
		var pieces []Piece
		if next < f.pieces { // what is left of a block
			pieces = append(pieces, f.blocks[next/block][next%block:]...)
		}
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
