package approval

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"qvmremote/daemon/boot"
)

const (
	firstPause = 30 * time.Second // after the first no
	lastPause  = time.Hour        // the longest after many
	remembered = 2 * time.Hour    // how long after its end a pause makes the next one longer
	maxKept    = 500              // grants, and refusals, that are kept
)

// Grant is an approval that is good for more than one request.
type Grant struct {
	Qube    string   `json:"qube"`
	Key     string   `json:"key"`            // fingerprint: a qube with another key has to ask
	Since   string   `json:"since"`          // names the authorisation of that: the same key authorised anew has to ask as well
	Hash    string   `json:"hash,omitempty"` // "" is any bytes
	End     boot.End `json:"end"`
	Counted bool     `json:"counted,omitempty"`
	Left    int64    `json:"left,omitempty"` // requests, of a counted one
	Number  int64    `json:"number"`         // of the request that was approved with it
	Who     string   `json:"who"`
	Way     string   `json:"way"`
}

// refusal keeps bytes from being asked about.
type refusal struct {
	Qube string        `json:"qube"`
	Key  string        `json:"key"`
	Hash string        `json:"hash"`
	End  boot.End      `json:"end"`
	Next time.Duration `json:"next"` // how long the one after it lasts
	Gone boot.End      `json:"gone"` // then it is forgotten
}

// state is what outlives a run, within one boot.
type state struct {
	Grants   []Grant   `json:"grants,omitempty"`
	Refusals []refusal `json:"refusals,omitempty"`
}

func (s *state) parse(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		*s = state{}
		return fmt.Errorf("cannot read what was approved before: %w", err)
	}
	return nil
}

func (s *state) encode() ([]byte, error) { return json.Marshal(s) }

func (s *state) clone() state {
	return state{Grants: slices.Clone(s.Grants), Refusals: slices.Clone(s.Refusals)}
}

func grantOf(c boot.Clock, q Question, scope Scope, who, way string) Grant {
	g := Grant{Qube: q.Qube, Key: q.Key, Since: q.Since, Hash: q.Hash, End: c.UntilReboot(), Counted: scope.Count > 0, Left: scope.Count, Number: q.Number, Who: who, Way: way}
	if scope.Qube {
		g.Hash = ""
	}
	if scope.For > 0 {
		g.End = c.Until(scope.For)
	}
	return g
}

// grant adds g in the place of one for the same.
func (s *state) grant(g Grant) {
	s.Grants = slices.DeleteFunc(s.Grants, func(o Grant) bool { return o.Qube == g.Qube && o.Key == g.Key && o.Hash == g.Hash })
	s.Grants = append(s.Grants, g)
	s.Grants = s.Grants[max(0, len(s.Grants)-maxKept):]
}

// granted is the index of what allows q, those first that are not counted; -1
// for none. wide says that one for any bytes may.
func (s *state) granted(q Question, wide bool) int {
	found := -1
	for i, g := range s.Grants {
		if g.Qube == q.Qube && g.Key == q.Key && g.Since == q.Since && (g.Hash == "" && wide || g.Hash == q.Hash) && (found < 0 || !g.Counted) {
			found = i
		}
	}
	return found
}

func (s *state) countDown(i int) {
	if s.Grants[i].Left--; s.Grants[i].Left <= 0 {
		s.Grants = slices.Delete(s.Grants, i, i+1)
	}
}

func (r refusal) of(q Question) bool { return r.Qube == q.Qube && r.Key == q.Key && r.Hash == q.Hash }

func (s *state) denied(q Question) *refusal {
	for i := range s.Refusals {
		if s.Refusals[i].of(q) {
			return &s.Refusals[i]
		}
	}
	return nil
}

func (s *state) deny(c boot.Clock, q Question, untilReboot bool) {
	r := refusal{Qube: q.Qube, Key: q.Key, Hash: q.Hash, Next: firstPause}
	if before := s.denied(q); before != nil {
		r.Next = before.Next
	}
	s.forgive(q)
	r.End, r.Gone = c.Until(r.Next), c.Until(r.Next+remembered)
	if untilReboot {
		r.End, r.Gone = c.UntilReboot(), c.UntilReboot()
	}
	r.Next = min(2*r.Next, lastPause)
	s.Refusals = append(s.Refusals, r)
	s.Refusals = s.Refusals[max(0, len(s.Refusals)-maxKept):]
}

func (s *state) forgive(q Question) {
	s.Refusals = slices.DeleteFunc(s.Refusals, func(r refusal) bool { return r.of(q) })
}

func (s *state) drop(c boot.Clock) {
	s.Grants = slices.DeleteFunc(s.Grants, func(g Grant) bool { return c.Over(g.End) })
	s.Refusals = slices.DeleteFunc(s.Refusals, func(r refusal) bool { return c.Over(r.Gone) })
}
