// Package claim knows which requests dom0 has taken and what became of them.
// A Book is nothing but the audit log folded: it is rebuilt from the log at
// every start and told every record in order, whoever wrote it.
//
// It guarantees that a request it reported as unknown, whose issue time is at
// or above the floor, was never claimed: a claim is forgotten only together
// with a floor above its issue time, and a floor never falls. That does not
// depend on any clock.
package claim

import (
	"crypto/sha256"
	"encoding/json"
	"maps"
	"slices"
	"sync"
	"time"
	"unique"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// MaxClaims is how many claims are held in all before the qube with the most
// gives up its oldest.
const MaxClaims = 200_000

// Keep is how long after its request expired a claim is held: as long as a
// request may be valid, with the clocks' slack, and as long as a cancel counts.
const Keep = queue.MaxWithin + queue.ClockSlack

// Status is what became of a claimed id.
type Status int

// The statuses.
const (
	Unknown   Status = iota // never claimed, or forgotten below the floor
	Open                    // claimed, no final state yet
	Final                   // final state recorded, not delivered
	Delivered               // the qube has its answer
)

// Request is a claimed request that is not yet delivered.
type Request struct {
	Claim audit.Record  // the claim
	Run   *audit.Record // the shell was about to start
	Final *audit.Record // how it ended
}

// Book is the folded log. Its methods may be used from several goroutines.
type Book struct {
	mu     sync.RWMutex
	qubes  map[string]*qube
	total  int   // claims held
	number int64 // highest number seen
	newest int64 // Unix seconds: the latest time of a record
	limit  int
}

type qube struct {
	floors map[string]int64 // by fingerprint
	claims map[digest]held
	open   map[string]*Request // by id
	legacy map[string]int64    // by fingerprint: claims of version 1, ever
	unsaid map[string]bool     // fingerprints whose floor rose by forgetting; perhaps no record says so
}

// digest stands for an id: claims are held by the ten thousand.
type digest [16]byte

type held struct {
	issued int64
	until  int64 // when the request expired
	seq    int64
	key    unique.Handle[string] // fingerprint; a word long, however many claims name it
}

func digestOf(id string) digest {
	sum := sha256.Sum256([]byte(id))
	return digest(sum[:16])
}

// NewBook returns an empty book.
func NewBook() *Book {
	return &Book{qubes: map[string]*qube{}, limit: MaxClaims}
}

func (b *Book) qube(name string) *qube {
	q := b.qubes[name]
	if q == nil {
		q = &qube{floors: map[string]int64{}, claims: map[digest]held{}, open: map[string]*Request{}, legacy: map[string]int64{}, unsaid: map[string]bool{}}
		b.qubes[name] = q
	}
	return q
}

// Lookup tells what became of an id. The floor is not looked at.
func (b *Book) Lookup(name, id string) Status {
	b.mu.RLock()
	defer b.mu.RUnlock()
	q := b.qubes[name]
	if q == nil {
		return Unknown
	}
	if r := q.open[id]; r != nil {
		if r.Final != nil {
			return Final
		}
		return Open
	}
	if _, ok := q.claims[digestOf(id)]; ok {
		return Delivered
	}
	return Unknown
}

// Undelivered returns the request of an id that is not delivered yet.
func (b *Book) Undelivered(name, id string) (Request, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if q := b.qubes[name]; q != nil {
		if r := q.open[id]; r != nil {
			return *r, true
		}
	}
	return Request{}, false
}

// All returns every request that is not delivered yet.
func (b *Book) All() []Request {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var all []Request
	for _, q := range b.qubes {
		for _, r := range q.open {
			all = append(all, *r)
		}
	}
	return all
}

// Pending is how many requests of a qube have no final state.
func (b *Book) Pending(name string) int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n := 0
	if q := b.qubes[name]; q != nil {
		for _, r := range q.open {
			if r.Final == nil {
				n++
			}
		}
	}
	return n
}

// Floor is the issue time (Unix seconds) below which nothing signed with the
// key of that fingerprint is accepted; known is false for a key never seen.
func (b *Book) Floor(name, fingerprint string) (floor int64, known bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if q := b.qubes[name]; q != nil {
		floor, known = q.floors[fingerprint]
	}
	return floor, known
}

// Keys gives the fingerprints whose floors are known, by qube.
func (b *Book) Keys() map[string][]string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	known := map[string][]string{}
	for name, q := range b.qubes {
		known[name] = slices.Collect(maps.Keys(q.floors))
	}
	return known
}

// Holder returns another qube that has or had the key of that fingerprint.
func (b *Book) Holder(fingerprint, except string) (string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for name, q := range b.qubes {
		if _, ok := q.floors[fingerprint]; ok && name != except {
			return name, true
		}
	}
	return "", false
}

// Legacy is how many requests of version 1 were ever claimed with the key of
// that fingerprint. Each has used up its id for good.
func (b *Book) Legacy(name, fingerprint string) int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if q := b.qubes[name]; q != nil {
		return q.legacy[fingerprint]
	}
	return 0
}

// LastNumber is the highest number a claim has carried.
func (b *Book) LastNumber() int64 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.number
}

// Apply takes one more record into account. The log calls it.
func (b *Book) Apply(r audit.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.newest = max(b.newest, r.Time.Unix())
	switch r.Event {
	case audit.Claim:
		b.claim(r)
	case audit.Run:
		if o := b.qube(r.Qube).open[r.ID]; o != nil {
			r.Command, r.Detail = "", "" // long, and of no use but in the log
			o.Run = &r
		}
	case audit.Final:
		if o := b.qube(r.Qube).open[r.ID]; o != nil {
			r = r.WithoutExcerpt()
			o.Final = &r
		}
	case audit.Delivered:
		delete(b.qube(r.Qube).open, r.ID)
	case audit.Floor, audit.Authorized, audit.Rotating:
		b.raise(r.Qube, r.Key, r.Floor)
		if q := b.qube(r.Qube); q.floors[r.Key] == r.Floor {
			delete(q.unsaid, r.Key)
		}
	case audit.Loss:
		b.lose(r)
	case audit.CarryEvent:
		// Met in the middle of a reading: only what was forgotten since the
		// reading's own carry is news.
		var c carry
		if json.Unmarshal(r.Carry, &c) == nil {
			b.merge(c)
		}
	}
}

func (b *Book) claim(r audit.Record) {
	q := b.qube(r.Qube)
	b.number = max(b.number, r.Number)
	q.open[r.ID] = &Request{Claim: r}
	d := digestOf(r.ID)
	if old, again := q.claims[d]; !again {
		b.total++
	} else if old.seq != r.Seq {
		// An id is claimed anew only after its first claim was forgotten; a
		// reading of the log meets both. What the first one guarded is now
		// the floor's.
		b.raise(r.Qube, old.key.Value(), old.issued+1)
	}
	if _, known := q.floors[r.Key]; !known {
		q.floors[r.Key] = 0
	}
	if r.Version == 1 {
		q.legacy[r.Key]++
	}
	q.claims[d] = held{issued: r.Issued, until: max(r.Issued, r.Expires), seq: r.Seq, key: unique.Make(r.Key)}
	for before := b.total + 1; b.total > b.limit && b.total < before; {
		before = b.total
		b.giveUp()
	}
}

func (b *Book) raise(name, fingerprint string, floor int64) {
	if fingerprint == "" {
		return
	}
	q := b.qube(name)
	if now, known := q.floors[fingerprint]; !known || floor > now {
		q.floors[fingerprint] = floor
	}
}

// Forget drops the claims that no valid request can repeat any more, nor a
// cancel give a second end, and raises their floors. Calling it with a clock
// that is wrong may refuse a late request, never admit a repeated one.
func (b *Book) Forget(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	limit := now.Add(-Keep).Unix()
	for name, q := range b.qubes {
		b.drop(name, q, false, func(h held) bool { return h.until < limit })
	}
}

// drop forgets the claims that old picks and raises the floors above them; with
// covered, all claims below the new floors, too.
func (b *Book) drop(name string, q *qube, covered bool, old func(held) bool) {
	floors := map[unique.Handle[string]]int64{}
	for _, h := range q.claims {
		if old(h) {
			floors[h.key] = max(floors[h.key], h.issued+1)
		}
	}
	for key, floor := range floors {
		b.raise(name, key.Value(), floor)
		q.unsaid[key.Value()] = true
	}
	for d, h := range q.claims {
		if old(h) || covered && h.issued < floors[h.key] {
			delete(q.claims, d)
			b.total--
		}
	}
}

// giveUp makes room: the qube that holds most claims forgets its oldest, a
// sixteenth of them at once so that the search for them pays.
func (b *Book) giveUp() {
	var name string
	most := -1
	for n, q := range b.qubes {
		if len(q.claims) > most {
			name, most = n, len(q.claims)
		}
	}
	q := b.qubes[name]
	cut := nthOldest(q.claims, most/16)
	b.drop(name, q, true, func(h held) bool { return h.issued <= cut })
}

// Prune makes the book independent of the records before upTo: claims made
// there are forgotten. It returns the floors that stand for claims no longer
// held, of those forgotten earlier too: the state at the beginning of the newest
// segment may be older than their forgetting.
func (b *Book) Prune(upTo int64) []audit.Record {
	b.mu.Lock()
	defer b.mu.Unlock()
	var records []audit.Record
	for name, q := range b.qubes {
		b.drop(name, q, true, func(h held) bool { return h.seq < upTo })
		for key := range q.unsaid {
			records = append(records, audit.Record{Event: audit.Floor, Qube: name, Key: key, Floor: q.floors[key],
				Way: "daemon", Detail: "raised before old segments were removed"})
		}
	}
	return records
}
