// Package approval holds the questions that dom0's people must answer before a
// request may run, and what their answers are good for.
//
// It guarantees:
//   - An answer counts for the bytes that were shown and for no others: who
//     approves names their hash. It counts for one qube and one key of it.
//   - A qube has one open question, and up to 20 that wait behind it, so that it
//     cannot bury what matters. The same bytes are not asked about again for a
//     while after a no: 30 s, twice as long each time.
//   - An approval for longer is measured by the boot's clock and ends with the
//     boot. It is kept before it is first used, and a counted one is counted
//     down before what it allows begins. [Book.Holds] tells whether one that was
//     used still counts.
//
// It knows no disk, no bus and no log: whoever uses it keeps its state.
package approval

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"qvmremote/daemon/boot"
)

// MaxWaiting is how many questions of one qube wait behind the open one.
const MaxWaiting = 20

// Errors of [Book.Ask] and of the answers.
var (
	ErrFull   = errors.New("too many requests of this qube wait for approval")
	ErrDenied = errors.New("the same bytes were denied")
	ErrNone   = errors.New("no such request waits for approval; it may be answered, expired or cancelled")
	ErrHash   = errors.New("the hash is not that of the request's bytes")
	ErrTaken  = errors.New("what was approved with it was taken back in the meantime")
	ErrBehind = errors.New("it is approved, but what waits behind it could not be counted down and still waits")
	ErrOver   = errors.New("the time that it was approved for is over; ask again")
)

// Book is all questions and what was granted. Make it with [New].
type Book struct {
	clock boot.Clock
	keep  func([]byte) error

	mu    sync.Mutex
	lines map[string][]*Turn // by qube; the first is the open one
	state state
	taken taken
}

// New returns a book with what an earlier run kept, nil for nothing. keep has to
// put a state where the next run finds it, before it returns.
func New(clock boot.Clock, kept []byte, keep func([]byte) error) (*Book, error) {
	b := &Book{clock: clock, keep: keep, lines: map[string][]*Turn{},
		taken: taken{qubes: map[string]int64{}, number: map[int64]int64{}}}
	if len(kept) == 0 {
		return b, nil
	}
	return b, b.state.parse(kept)
}

// Turn is one question's place in its qube's line.
type Turn struct {
	q      Question
	answer chan Answer
}

// Answer is how a question was decided.
type Answer struct {
	Approved bool
	By       int64  // number of the request that it was given to
	Who, Way string // who approved or denied, and by which way

	UntilReboot bool     // of a no
	End         boot.End // of what was granted before, and used; zero for an answer to this request

	qube  string
	given int64 // on the clock of what was taken back
}

// Answer has the answer once there is one.
func (t *Turn) Answer() <-chan Answer { return t.answer }

// Ask asks about a request. What was granted before is the answer at once. The
// error is [ErrDenied] or [ErrFull] when nobody is to be asked; any other says
// that a grant could not be counted down.
func (b *Book) Ask(q Question) (*Turn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	t := &Turn{q: q, answer: make(chan Answer, 1)}
	granted, err := b.useGrant(t)
	if err != nil || granted {
		return t, err
	}
	if err := b.refused(q); err != nil {
		return nil, err
	}
	if len(b.lines[q.Qube]) > MaxWaiting {
		return nil, ErrFull
	}
	b.lines[q.Qube] = append(b.lines[q.Qube], t)
	return t, nil
}

// refused says why the same bytes are not asked about now.
func (b *Book) refused(q Question) error {
	r := b.state.denied(q)
	if r == nil {
		return nil
	}
	left, ok := b.clock.Left(r.End)
	switch {
	case !ok:
		return fmt.Errorf("%w until dom0 reboots", ErrDenied)
	case left > 0:
		return fmt.Errorf("%w a moment ago; ask again in %d s", ErrDenied, int64((left+time.Second-1)/time.Second))
	}
	return nil
}

// Withdraw takes a question back that nobody waits for any more.
func (b *Book) Withdraw(t *Turn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.remove(t)
}

// Open lists the open questions, by number.
func (b *Book) Open() []Question {
	b.mu.Lock()
	defer b.mu.Unlock()
	var open []Question
	for _, line := range b.lines {
		q := line[0].q
		q.Waiting = len(line) - 1
		open = append(open, q)
	}
	slices.SortFunc(open, func(a, b Question) int { return int(a.Number - b.Number) })
	return open
}

// Find is the open question of that number; the error is [ErrNone].
func (b *Book) Find(number int64) (Question, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, err := b.open(number)
	if err != nil {
		return Question{}, err
	}
	q := t.q
	q.Waiting = len(b.lines[q.Qube]) - 1
	return q, nil
}

// Approve lets the open question of that number go ahead, if hash names its
// bytes, and grants what scope says. Those that wait behind it and are granted
// with it go ahead as well; where only that fails, the error is [ErrBehind].
func (b *Book) Approve(number int64, hash string, scope Scope, who, way string) error {
	if err := scope.Check(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	t, err := b.open(number)
	if err != nil {
		return err
	}
	if hash != t.q.Hash {
		return fmt.Errorf("number %d: %w: it is %s", number, ErrHash, t.q.Hash)
	}
	before := b.state.clone()
	b.state.forgive(t.q)
	if !scope.once() {
		b.state.grant(grantOf(b.clock, t.q, scope, who, way))
	}
	if err := b.save(before); err != nil {
		return err
	}
	b.settle(t, Answer{Approved: true, By: number, Who: who, Way: way})
	var failed error
	for _, waiting := range slices.Clone(b.lines[t.q.Qube]) {
		granted, err := b.useGrant(waiting)
		if failed = errors.Join(failed, err); granted {
			b.remove(waiting)
		}
	}
	if failed != nil {
		return fmt.Errorf("%w: %w", ErrBehind, failed)
	}
	return nil
}

// Deny ends the open question of that number and those behind it with the same
// bytes. They are not asked about again for a while, or in this boot.
func (b *Book) Deny(number int64, untilReboot bool, who, way string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	t, err := b.open(number)
	if err != nil {
		return err
	}
	before := b.state.clone()
	b.state.deny(b.clock, t.q, untilReboot)
	if err := b.save(before); err != nil {
		return err
	}
	for _, waiting := range slices.Clone(b.lines[t.q.Qube]) {
		if waiting.q.Hash == t.q.Hash && waiting.q.Key == t.q.Key {
			b.settle(waiting, Answer{By: number, Who: who, Way: way, UntilReboot: untilReboot})
		}
	}
	return nil
}

// open is the open question of that number.
func (b *Book) open(number int64) (*Turn, error) {
	for _, line := range b.lines {
		if line[0].q.Number == number {
			return line[0], nil
		}
	}
	return nil, fmt.Errorf("number %d: %w", number, ErrNone)
}

func (b *Book) settle(t *Turn, a Answer) {
	b.remove(t)
	t.tell(a, b.taken.clock)
}

func (t *Turn) tell(a Answer, clock int64) {
	a.qube, a.given = t.q.Qube, clock
	t.answer <- a // has room for one, and is in the line only once
}

func (b *Book) remove(t *Turn) {
	qube := t.q.Qube
	b.lines[qube] = slices.DeleteFunc(b.lines[qube], func(o *Turn) bool { return o == t })
	if len(b.lines[qube]) == 0 {
		delete(b.lines, qube)
	}
}

// useGrant answers a question that was granted before, and counts that down.
// What was granted for whatever the qube asks is not for bytes that were denied.
func (b *Book) useGrant(t *Turn) (bool, error) {
	i := b.state.granted(t.q, b.refused(t.q) == nil)
	if i < 0 {
		return false, nil
	}
	g := b.state.Grants[i]
	if g.Counted {
		before := b.state.clone()
		b.state.countDown(i)
		if err := b.save(before); err != nil {
			return false, err
		}
	}
	t.tell(Answer{Approved: true, By: g.Number, Who: g.Who, Way: g.Way, End: g.End}, b.taken.clock)
	return true, nil
}

// save keeps the state, or goes back to the one before.
func (b *Book) save(before state) error {
	text, err := b.state.encode()
	if err == nil {
		err = b.keep(text)
	}
	if err != nil {
		b.state = before
		return fmt.Errorf("cannot keep what was decided: %w", err)
	}
	return nil
}

// forget drops what is over.
func (b *Book) forget() { b.state.drop(b.clock) }
