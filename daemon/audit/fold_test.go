package audit

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// requests is a Fold as the daemon has one: claims that are open, and floors.
type requests struct {
	mu     sync.Mutex
	Claims map[string]int64 // id → seq of its claim, until it is final
	Floors map[string]int64
	Total  int64 // claims ever

	applied []int64 // seqs given to Apply since the last Load
	pruned  []int64
}

func newRequests() *requests {
	return &requests{Claims: map[string]int64{}, Floors: map[string]int64{}}
}

func (q *requests) Apply(r Record) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.applied = append(q.applied, r.Seq)
	switch r.Event {
	case Claim:
		q.Claims[r.ID] = r.Seq
		q.Total++
	case Final:
		delete(q.Claims, r.ID)
	case Floor:
		q.Floors[r.Qube] = max(q.Floors[r.Qube], r.Floor)
	}
}

func (q *requests) Carry() (json.RawMessage, int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	oldest := int64(-1)
	for _, seq := range q.Claims {
		if oldest < 0 || seq < oldest {
			oldest = seq
		}
	}
	raw, _ := json.Marshal(q)
	return raw, oldest
}

func (q *requests) Load(raw json.RawMessage) error {
	fresh := newRequests()
	if err := json.Unmarshal(raw, fresh); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.Claims, q.Floors, q.Total, q.applied = fresh.Claims, fresh.Floors, fresh.Total, nil
	return nil
}

func (q *requests) Prune(upto int64) []Record {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pruned = append(q.pruned, upto)
	return []Record{{Event: Floor, Qube: "work", Floor: 1000 + upto}}
}

// same says whether two folds hold the same state.
func (q *requests) same(p *requests) bool {
	return maps.Equal(q.Claims, p.Claims) && maps.Equal(q.Floors, p.Floors) && q.Total == p.Total
}

// clock is a wall clock that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func openLog(t testing.TB, dir string, o Options) (*Log, *requests) {
	t.Helper()
	q := newRequests()
	if o.Reserve == 0 {
		o.Reserve = -1
	}
	l, err := Open(context.Background(), dir, o, q)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, q
}

// noSync leaves out every fsync, for tests in which no power is cut.
func noSync() hooks {
	return hooks{
		sync: func(string, *os.File) error { return nil },
		replace: func(_, path string, data []byte, mode fs.FileMode) error {
			temp := filepath.Join(filepath.Dir(path), ".tmp-test")
			if err := os.WriteFile(temp, data, mode); err != nil {
				return err
			}
			return os.Rename(temp, path)
		},
	}
}

func logDir(t testing.TB) string { return filepath.Join(t.TempDir(), "audit") }

func claim(id string) Record {
	return Record{Event: Claim, Qube: "work", ID: id, Number: 7, Issued: 1795444952, Request: "sha256:00"}
}

func final(id string) Record {
	code := 0
	return Record{Event: Final, Qube: "work", ID: id, Number: 7, State: Exit, Exit: &code}
}

func add(t testing.TB, l *Log, records ...Record) Commit {
	t.Helper()
	c, err := l.Update(context.Background(), func(tx *Tx) error {
		for _, r := range records {
			tx.Add(r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// fill adds n claims with their finals, two records each.
func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		id := fmt.Sprintf("fill-%d", i)
		add(t, l, claim(id), final(id))
	}
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func verify(t testing.TB, dir string, checkpoints ...string) Report {
	t.Helper()
	r, err := Verify(context.Background(), dir, checkpoints)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustVerify(t testing.TB, dir string, checkpoints ...string) Report {
	t.Helper()
	r := verify(t, dir, checkpoints...)
	if !r.OK() {
		t.Fatalf("the log does not verify:\n%v", r)
	}
	return r
}

func records(t testing.TB, dir string) []Record {
	t.Helper()
	var out []Record
	err := Read(context.Background(), dir, 0, func(r Record, _ []byte) error {
		out = append(out, r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func count(records []Record, e Event) int {
	n := 0
	for _, r := range records {
		if r.Event == e {
			n++
		}
	}
	return n
}

func kinds(l *Log) []FindingKind {
	var out []FindingKind
	for _, f := range l.Findings() {
		out = append(out, f.Kind)
	}
	return out
}
