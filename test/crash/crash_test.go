//go:build crashpoints

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/queue"
)

// workers is how many scenes play at once; each has a stage of its own.
const workers = 3

// scenario is a story that is told once to the end, and then again for each
// point it passed, with a crash there.
type scenario struct {
	name   string
	times  int            // at so many occurrences of a point, from the first on
	before func(s *scene) // dom0 before the daemon starts
	asks   func(d *day)   // what the qube does
}

// reached collects the points that any scenario stopped at.
var reached = struct {
	sync.Mutex
	points map[string]bool
}{points: map[string]bool{}}

func scenarios() []*scenario {
	return []*scenario{
		{name: "day", times: 3, before: (*scene).placeKeys, asks: (*day).begin},
		{name: "rotation", times: 1, before: rotating, asks: (*day).command},
		{name: "after-a-crash", times: 1, before: afterACrash, asks: (*day).begin},
	}
}

// rotating is a dom0 in which the qube's key waits for its first use.
func rotating(s *scene) {
	own := s.key
	s.key, s.next = queue.GenerateKey(), own
	s.placeKeys()
}

// afterACrash is a dom0 that died in the middle of the day, and whose disk
// kept half a record and lost the hashes.
func afterACrash(s *scene) {
	s.placeKeys()
	p := s.start("audit.claim:before-record#4", "")
	await(s.t, "the daemon to die", p.ended)
	segments, err := filepath.Glob(filepath.Join(s.root.Audit(), "*.jsonl"))
	must(s.t, err)
	f, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
	must(s.t, err)
	_, err = f.WriteString(`{"seq":`)
	must(s.t, errors.Join(err, f.Close(), os.Truncate(filepath.Join(s.root.Audit(), "tree"), 0)))
}

// play tells the story with a crash at point, "" for none, and checks how it
// ended. It reports whether the daemon got to that point.
func (sc *scenario) play(t testing.TB, st *stage, point, trace string) (crashed bool) {
	s := st.newScene(t)
	defer func() {
		if t.Failed() {
			b, _ := os.ReadFile(s.log)
			t.Logf("what dom0 said:\n%s", b)
			for _, r := range s.records() {
				t.Logf("%d %s %s %s %s", r.Seq, r.Event, r.ID, r.State, r.Detail)
			}
		}
		_ = os.RemoveAll(filepath.Dir(string(s.root)))
	}()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	d := s.newDay(ctx)
	defer d.wg.Wait()
	defer cancel()
	sc.asks(d)
	sc.before(s)
	settled := d.settled()
	p := s.start(point, trace)
	s.toTheEnd(p, settled)
	if crashed = p.crashed(); crashed {
		await(t, "the commands to die with their daemon", func() bool { return len(s.alive()) == 0 })
		p = s.start("", "")
		s.toTheEnd(p, settled)
	}
	if !p.cmd.ProcessState.Success() {
		t.Errorf("the daemon ended with: %v", p.cmd.ProcessState)
	}
	d.check(crashed || sc.name == "after-a-crash")
	return crashed
}

// toTheEnd waits until the qube has all its answers and dom0 has recorded so,
// and stops the daemon; or until the daemon dies.
func (s *scene) toTheEnd(p *process, settled <-chan struct{}) {
	s.t.Helper()
	select {
	case <-settled:
		await(s.t, "the deliveries to be recorded", func() bool { return p.ended() || s.starts() > p.before && s.closed() })
		s.stop(p)
	case <-p.done:
	case <-time.After(patience):
		s.t.Errorf("the qube still waits for answers")
		p.kill()
	}
}

// TestACrashAtEveryPoint tells each story with a crash at each point.
func TestACrashAtEveryPoint(t *testing.T) {
	for _, sc := range scenarios() {
		t.Run(sc.name, func(t *testing.T) {
			points := sc.trace(t)
			jobs := make(chan string)
			var wg sync.WaitGroup
			for range workers {
				st := newStage(t)
				wg.Add(1)
				go func() {
					defer wg.Done()
					for point := range jobs {
						t.Run(point, func(t *testing.T) {
							if !sc.play(t, st, point, "") && strings.HasSuffix(point, "#1") {
								t.Errorf("the daemon did not get to %s again", point)
							}
						})
					}
				}()
			}
			for _, point := range points {
				jobs <- point
			}
			close(jobs)
			wg.Wait()
		})
	}
}

// trace tells the story without a crash and lists the points to crash at.
func (sc *scenario) trace(t *testing.T) (points []string) {
	trace := filepath.Join(t.TempDir(), "trace")
	if sc.play(t, newStage(t), "", trace) || t.Failed() {
		t.Fatal("the story does not even end well without a crash")
	}
	b, err := os.ReadFile(trace)
	must(t, err)
	times := map[string]int{}
	for _, name := range strings.Fields(string(b)) {
		times[name]++
	}
	reached.Lock()
	defer reached.Unlock()
	for name, n := range times {
		if strings.HasPrefix(name, "daemon.status:") {
			n = 1
		}
		if sc.name == "rotation" && reached.points[name] {
			continue
		}
		reached.points[name] = true
		for i := range min(n, sc.times) {
			points = append(points, fmt.Sprintf("%s#%d", name, i+1))
		}
	}
	slices.Sort(points)
	return points
}
