package approval

import (
	"fmt"
	"slices"
)

// Grants lists what is granted now.
func (b *Book) Grants() []Grant {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget()
	return slices.Clone(b.state.Grants)
}

// taken is what was taken back in this run. Requests that wait end with the
// run, so nothing of it has to outlive that.
type taken struct {
	clock  int64            // counts revocations
	all    int64            // when the last of everything was
	qubes  map[string]int64 // when the last of all of a qube was
	number map[int64]int64  // when what was approved with a number was
}

// maxTaken bounds the numbers; beyond it all of the qube is taken back.
const maxTaken = 4096

// Revoke takes back what was granted to a qube with the request of that number,
// or with number 0 all that was, and also the answers to requests that have not
// begun. It tells how much was granted.
func (b *Book) Revoke(qube string, number int64) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken.clock++
	if number == 0 || len(b.taken.number) >= maxTaken {
		number = 0
		b.taken.qubes[qube] = b.taken.clock
	} else {
		b.taken.number[number] = b.taken.clock // also where its count is used up by what waits
	}
	return b.revoke(func(g Grant) bool { return g.Qube == qube && (number == 0 || number == g.Number) })
}

// RevokeAll takes back all that was granted to any qube.
func (b *Book) RevokeAll() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.taken.clock++
	b.taken.all = b.taken.clock
	_, err := b.revoke(func(Grant) bool { return true })
	return err
}

// revoke takes back for this run even what cannot be kept.
func (b *Book) revoke(which func(Grant) bool) (n int, err error) {
	b.forget()
	b.state.Grants = slices.DeleteFunc(b.state.Grants, func(g Grant) bool {
		if !which(g) {
			return false
		}
		n++
		return true
	})
	if n == 0 {
		return 0, nil
	}
	if err := b.save(b.state); err != nil {
		return n, fmt.Errorf("it is taken back until the daemon ends, and would count again after that: %w", err)
	}
	return n, nil
}

// Holds says why the answer does not count any more: [ErrOver] or [ErrTaken].
// It is to be asked when what was approved begins, which may be long after.
func (b *Book) Holds(a Answer) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.taken.all > a.given, b.taken.qubes[a.qube] > a.given, b.taken.number[a.By] > a.given:
		return fmt.Errorf("number %d: %w", a.By, ErrTaken)
	case b.clock.Over(a.End):
		return fmt.Errorf("number %d: %w", a.By, ErrOver)
	}
	return nil
}
