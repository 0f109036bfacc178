package slots

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestFairness drives slots through any order of coming, going, leaving the
// queue and changing limits, one step at a time.
func TestFairness(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &machine{limits: anyLimits(t)}
		m.s = New(m.limits)
		t.Repeat(map[string]func(*rapid.T){
			"come":   m.come,
			"go":     m.leave,
			"cancel": m.cancel,
			"limits": func(t *rapid.T) { m.limits = anyLimits(t); m.s.SetLimits(m.limits); m.settle() },
			"":       m.check,
		})
	})
}

func anyLimits(t *rapid.T) Limits {
	all := rapid.IntRange(1, 4).Draw(t, "all")
	return Limits{All: all, Qube: rapid.IntRange(1, 3).Draw(t, "qube"), Hard: all + rapid.IntRange(0, 3).Draw(t, "more")}
}

var someQube = rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})

// waiter asks as Acquire does, without a goroutine of its own.
type waiter struct {
	qube string
	turn chan struct{}
}

type machine struct {
	s       *Slots
	limits  Limits
	waiting []waiter
	running []string
}

func (m *machine) come(t *rapid.T) {
	qube := someQube.Draw(t, "qube")
	m.waiting = append(m.waiting, waiter{qube, m.s.enqueue(qube)})
	m.settle()
}

// settle takes in who was let in.
func (m *machine) settle() {
	var still []waiter
	for _, w := range m.waiting {
		select {
		case <-w.turn:
			m.running = append(m.running, w.qube)
		default:
			still = append(still, w)
		}
	}
	m.waiting = still
}

func (m *machine) leave(t *rapid.T) {
	if len(m.running) == 0 {
		t.Skip("nothing runs")
	}
	i := rapid.IntRange(0, len(m.running)-1).Draw(t, "which")
	m.s.Release(m.running[i])
	m.running = append(m.running[:i], m.running[i+1:]...)
	m.settle()
}

func (m *machine) cancel(t *rapid.T) {
	if len(m.waiting) == 0 {
		t.Skip("nobody waits")
	}
	i := rapid.IntRange(0, len(m.waiting)-1).Draw(t, "which")
	m.s.abandon(m.waiting[i].qube, m.waiting[i].turn)
	m.waiting = append(m.waiting[:i], m.waiting[i+1:]...)
	m.settle()
}

// check: everyone who waits has a reason to, by the limits as they are now.
func (m *machine) check(t *rapid.T) {
	mine := map[string]int{}
	for _, q := range m.running {
		mine[q]++
	}
	for _, w := range m.waiting {
		full := len(m.running) >= m.limits.Hard
		own := mine[w.qube] >= m.limits.Qube
		shared := mine[w.qube] > 0 && len(m.running) >= m.limits.All
		if !full && !own && !shared {
			t.Fatalf("%s waits although it may run: %v run, limits %+v", w.qube, mine, m.limits)
		}
	}
	for _, q := range []string{"a", "b", "c", "d", "e", "f"} {
		if got := m.s.Running(q); got != mine[q] {
			t.Fatalf("%s: %d run, counted %d", q, mine[q], got)
		}
	}
}

// TestNeverAboveTheLimits: many at once, some of which leave the queue.
func TestNeverAboveTheLimits(t *testing.T) {
	t.Parallel()
	limits := Limits{All: 4, Qube: 2, Hard: 6}
	s := New(limits)
	var mu sync.Mutex
	running, total, worst := map[string]int{}, 0, ""
	var wg sync.WaitGroup
	for i := range 120 {
		qube := fmt.Sprint("q", i%10)
		ctx, cancel := context.WithCancel(context.Background())
		if i%7 == 0 {
			cancel()
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer cancel()
			if s.Acquire(ctx, qube) != nil {
				return
			}
			mu.Lock()
			running[qube]++
			total++
			if running[qube] > limits.Qube || total > limits.Hard {
				worst = fmt.Sprint(running)
			}
			mu.Unlock()
			mu.Lock()
			running[qube]--
			total--
			mu.Unlock()
			s.Release(qube)
		}()
	}
	wg.Wait()
	if worst != "" {
		t.Errorf("above the limits: %s", worst)
	}
	if s.total != 0 || len(s.waiting) != 0 || len(s.order) != 0 || len(s.running) != 0 {
		t.Errorf("left behind: %d running, %v wait", s.total, s.order)
	}
}

func TestAFreeSlotGoesToAnotherQubeFirst(t *testing.T) {
	t.Parallel()
	s := New(Limits{All: 1, Qube: 4, Hard: 1})
	must(t, s.Acquire(context.Background(), "first"))
	var order []string
	turns := map[string]chan struct{}{}
	for _, name := range []string{"loud 1", "loud 2", "quiet 1"} {
		turns[name] = s.enqueue(name[:len(name)-2])
	}
	holder := "first"
	for range turns {
		s.Release(holder)
		for name, turn := range turns {
			select {
			case <-turn:
				order, holder = append(order, name), name[:len(name)-2]
			default:
			}
		}
	}
	if fmt.Sprint(order) != "[loud 1 quiet 1 loud 2]" {
		t.Errorf("served in the order %v", order)
	}
}

func TestAcquireEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := New(Limits{All: 1, Qube: 1, Hard: 1})
	must(t, s.Acquire(context.Background(), "a"))
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(context.Background())
	time.AfterFunc(time.Millisecond, func() { cancel(why) })
	if err := s.Acquire(ctx, "b"); !errors.Is(err, why) {
		t.Errorf("%v", err)
	}
	s.Release("a")
	must(t, s.Acquire(context.Background(), "b"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
