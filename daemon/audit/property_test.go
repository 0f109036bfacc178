package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whatever is done to a log (updates, refusals, restarts, a second process,
// clocks that jump, new segments, crashes that tear its end), its Fold holds
// what applying all its records gives, in the process that was there and after
// a start.
func TestFoldIsTheLog(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	rounds := 0
	rapid.Check(t, func(t *rapid.T) {
		rounds++
		m := &machine{dir: filepath.Join(parent, fmt.Sprint(rounds)), clock: newClock()}
		defer m.stop()
		m.open(t)
		t.Repeat(map[string]func(*rapid.T){
			"claim":   func(t *rapid.T) { m.update(t, claim(m.id(t))) },
			"final":   func(t *rapid.T) { m.update(t, final(m.id(t))) },
			"floor":   func(t *rapid.T) { m.update(t, Record{Event: Floor, Qube: m.id(t), Floor: m.clock.now().Unix()}) },
			"many":    func(t *rapid.T) { m.update(t, claim(m.id(t)), final(m.id(t)), claim(m.id(t))) },
			"refused": m.refuse,
			"other":   m.other,
			"reopen":  func(t *rapid.T) { m.stop(); m.open(t) },
			"torn":    m.tear,
			"clock": func(t *rapid.T) {
				m.clock.add(time.Duration(rapid.IntRange(-72, 72).Draw(t, "hours")) * time.Hour)
			},
			"": m.check,
		})
		m.stop()
		m.open(t)
		m.check(t)
		if r, err := Verify(context.Background(), m.dir, nil); err != nil || !r.OK() {
			t.Fatalf("verify: %v\n%v", err, r)
		}
	})
}

// machine is the log under test and what it should hold.
type machine struct {
	dir   string
	clock *clock
	log   *Log
	fold  *requests
}

func (m *machine) options() Options {
	return Options{Now: m.clock.now, SegmentBytes: 600, Reserve: -1, hooks: noSync()}
}

func (m *machine) open(t *rapid.T) {
	m.fold = newRequests()
	var err error
	if m.log, err = Open(context.Background(), m.dir, m.options(), m.fold); err != nil {
		t.Fatal(err)
	}
}

func (m *machine) stop() { _ = m.log.Close() }

func (m *machine) id(t *rapid.T) string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "id")
}

func (m *machine) update(t *rapid.T, records ...Record) { m.updateOf(t, m.log, records...) }

func (m *machine) updateOf(t *rapid.T, l *Log, records ...Record) {
	c, err := l.Update(context.Background(), func(tx *Tx) error {
		for _, r := range records {
			tx.Add(r)
		}
		return nil
	})
	if err != nil || len(c.Seqs) != len(records) {
		t.Fatalf("update: %+v, %v", c, err)
	}
}

func (m *machine) refuse(t *rapid.T) {
	no := errors.New("no")
	_, err := m.log.Update(context.Background(), func(tx *Tx) error {
		tx.Add(claim(m.id(t)))
		return no
	})
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
}

// other appends from a log of its own, as another process does.
func (m *machine) other(t *rapid.T) {
	l, err := Open(context.Background(), m.dir, m.options(), newRequests())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	m.updateOf(t, l, claim(m.id(t)), final(m.id(t)))
}

func (m *machine) tear(t *rapid.T) {
	segs, err := listSegments(m.dir)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(segs[len(segs)-1].path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(`{"seq`); err != nil {
		t.Fatal(err)
	}
}

// check compares the Fold with all records of the log, applied one by one.
func (m *machine) check(t *rapid.T) {
	m.update(t)
	want, next := newRequests(), int64(0)
	err := Read(context.Background(), m.dir, 0, func(r Record, _ []byte) error {
		if r.Seq != next {
			return fmt.Errorf("record %d where %d must stand", r.Seq, next)
		}
		next++
		want.Apply(r)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !m.fold.same(want) {
		t.Fatalf("fold is %+v, the records give %+v", m.fold, want)
	}
}
