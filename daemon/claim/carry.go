package claim

import (
	"encoding/json"
	"fmt"

	"qvmremote/daemon/audit"
)

// carry is what a new segment begins with.
type carry struct {
	Number int64                       `json:"number"`
	Floors map[string]map[string]int64 `json:"floors"` // qube, fingerprint
	Legacy map[string]map[string]int64 `json:"legacy,omitempty"`
	Open   []carried                   `json:"open,omitempty"`
}

type carried struct {
	Claim audit.Record  `json:"claim"`
	Run   *audit.Record `json:"run,omitempty"`
	Final *audit.Record `json:"final,omitempty"`
}

// Carry returns the state for a new segment's first record, and the lowest
// sequence number among the claims still held (−1: none): a later start must
// read from there.
func (b *Book) Carry() (json.RawMessage, int64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c := carry{Number: b.number, Floors: map[string]map[string]int64{}, Legacy: map[string]map[string]int64{}}
	oldest := int64(-1)
	for name, q := range b.qubes {
		if len(q.floors) > 0 {
			c.Floors[name] = q.floors
		}
		if len(q.legacy) > 0 {
			c.Legacy[name] = q.legacy
		}
		for _, r := range q.open {
			c.Open = append(c.Open, carried(*r))
		}
		for _, h := range q.claims {
			if oldest < 0 || h.seq < oldest {
				oldest = h.seq
			}
		}
	}
	state, err := json.Marshal(c)
	if err != nil {
		return nil, 0 // cannot happen: plain maps and strings; 0 makes a start read everything
	}
	return state, oldest
}

// Load resets the book to a carry.
func (b *Book) Load(state json.RawMessage) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.qubes, b.total, b.number = map[string]*qube{}, 0, 0
	if len(state) == 0 {
		return nil
	}
	var c carry
	if err := json.Unmarshal(state, &c); err != nil {
		return fmt.Errorf("cannot read a carry record: %w", err)
	}
	for _, o := range c.Open {
		r := Request(o)
		b.claim(r.Claim)
		b.qube(r.Claim.Qube).open[r.Claim.ID] = &r
	}
	b.merge(c) // last: its counts hold what is open, too
	return nil
}

func (b *Book) merge(c carry) {
	b.number = max(b.number, c.Number)
	for name, floors := range c.Floors {
		for key, floor := range floors {
			b.raise(name, key, floor)
		}
	}
	for name, counts := range c.Legacy {
		for key, n := range counts {
			q := b.qube(name)
			q.legacy[key] = max(q.legacy[key], n)
		}
	}
}
