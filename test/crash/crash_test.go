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
	times  int            // at so many occurrences of a point; 0: at the first, of points that no other story passes
	races  bool           // it may be over before a point that it passed the first time
	before func(s *scene) // dom0 before the daemon starts
	asks   func(d *day)   // what the qube does
}

// passed collects the points that a story or an operation was stopped at.
type passed struct {
	sync.Mutex
	points map[string]bool
}

var reached = passed{points: map[string]bool{}}

// add reports whether the point is new.
func (p *passed) add(name string) bool {
	p.Lock()
	defer p.Unlock()
	fresh := !p.points[name]
	p.points[name] = true
	return fresh
}

func scenarios() []*scenario {
	return []*scenario{
		{name: "day", times: 3, before: (*scene).placeKeys, asks: (*day).begin},
		{name: "rotation", before: rotating, asks: (*day).command},
		{name: "version-1", before: takingOld, asks: (*day).old},
		{name: "after-a-crash", times: 1, races: true, before: afterACrash, asks: (*day).begin},
	}
}

// rotating is a dom0 in which the qube's key waits for its first use.
func rotating(s *scene) {
	own := s.key
	s.key, s.next = queue.GenerateKey(), own
	s.placeKeys()
}

// afterACrash is a dom0 that died in the middle of the day, and whose disk
// kept half a record, lost the hashes, and holds a key for answers that nobody
// waits for any more.
func afterACrash(s *scene) {
	s.placeKeys()
	p := s.start("audit.claim:before-record#4", "")
	await(s.t, "the daemon to die", p.ended)
	segments, err := filepath.Glob(filepath.Join(s.root.Audit(), "*.jsonl"))
	must(s.t, err)
	f, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
	must(s.t, err)
	must(s.t, os.WriteFile(s.root.Spool()+"-keys/0123456789abcdef", make([]byte, 32), 0o600))
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
	d.check(crashed || sc.races)
	s.checkKeys()
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

// TestACrashAtEveryPoint tells each story with a crash at each point, and then
// looks for points that none of them passed.
func TestACrashAtEveryPoint(t *testing.T) {
	all := scenarios()
	ran := 0
	for _, sc := range all {
		t.Run(sc.name, func(t *testing.T) {
			sc.crashes(t)
			ran++
		})
	}
	t.Run("operations", func(t *testing.T) {
		crashOperations(t)
		ran++
	})
	if ran == len(all)+1 { // not with -run of some
		t.Run("none-forgotten", noneForgotten)
	}
}

// crashes shares the points among stages.
func (sc *scenario) crashes(t *testing.T) {
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
					switch crashed := sc.play(t, st, point, ""); {
					case crashed:
					case sc.races || !strings.HasSuffix(point, "#1"):
						t.Skip("the story went another way this time, and ended well")
					default:
						t.Error("the daemon did not get there again")
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
	for name, n := range times {
		fresh := reached.add(name)
		if strings.HasPrefix(name, "daemon.status:") {
			n = 1 // it is written now and then, and decides nothing
		}
		if sc.times == 0 && fresh {
			points = append(points, name+"#1")
		}
		for i := range min(n, sc.times) {
			points = append(points, fmt.Sprintf("%s#%d", name, i+1))
		}
	}
	slices.Sort(points)
	return points
}
