//go:build crashpoints

package crash

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"qvmremote/daemon/admin"
	"qvmremote/daemon/audit"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/settings"
	"qvmremote/queue"
)

// An administrator's keys, in the order in which they are used.
var first, second, third = queue.GenerateKey(), queue.GenerateKey(), queue.GenerateKey()

// operation is one command of an administrator, and what it makes of dom0.
type operation struct {
	args    []string
	stdin   queue.Key
	current queue.Key // zero: none
	next    queue.Key
	listed  bool        // in the settings
	between bool        // a crash may leave the qube without a key
	paused  bool        // nothing new is taken
	stopped bool        // and nothing may run
	rules   string      // of the qube; "" is not looked at
	event   audit.Event // must be recorded at the end, whatever crashed
}

// operations follow one another, from a dom0 that was never used.
func operations() []operation {
	return []operation{
		{args: []string{"authorize", qubeName}, stdin: first, current: first, listed: true},
		{args: []string{"rotate", qubeName}, stdin: second, current: first, next: second, listed: true},
		{args: []string{"rotate", "--cancel", qubeName}, current: first, listed: true},
		{args: []string{"authorize", "--replace", "--policy", "allow", qubeName}, stdin: second, current: second, listed: true, between: true},
		{args: []string{"queue", "recover", qubeName}, current: second, listed: true},
		{args: []string{"limit", qubeName, "--count", "1000"}, current: second, listed: true, rules: admin.RulesAllow},
		{args: []string{"policy", "edit", qubeName}, current: second, listed: true, rules: editedRules, event: audit.Setting},
		{args: []string{"resume", qubeName}, current: second, listed: true, event: audit.Readmitted},
		{args: []string{"disconnect", qubeName}},
		{args: []string{"connect", qubeName, string(third.Reveal())}, current: third, listed: true},
		{args: []string{"revoke", qubeName}, listed: true},
		{args: []string{"pause"}, listed: true, paused: true, event: audit.Paused},
		{args: []string{"stop-everything"}, listed: true, paused: true, stopped: true, event: audit.StoppedEverything},
		{args: []string{"resume"}, listed: true, event: audit.Resumed},
	}
}

// editedRules is what the editor of a scene writes.
const editedRules = "allow qvm-ls\nask **\n"

// perform runs an operation, to be killed at point if that is not "".
func (s *scene) perform(o operation, point, trace string) *process {
	s.t.Helper()
	if o.args[0] == "queue" || o.args[0] == "disconnect" { // something to take away
		must(s.t, queue.Publish(s.client.Layout.Running("stale-1"), []byte(queue.WordRunning)))
	}
	if o.event == audit.Readmitted {
		s.suspend()
	}
	in := ""
	if !o.stdin.IsZero() {
		in = string(o.stdin.Reveal()) + "\n"
	}
	p := s.startWith(strings.NewReader(in), point, trace, o.args...)
	await(s.t, o.args[0]+" to end", p.ended)
	return p
}

// suspend does what the daemon does after too many requests without a good MAC.
func (s *scene) suspend() {
	s.t.Helper()
	store, err := keys.Open(s.root.Keys())
	must(s.t, err)
	held, err := store.Get(qubeName)
	must(s.t, err)
	held.Meta.Suspended = 7
	must(s.t, store.PutMeta(qubeName, held.Meta))
}

// is reports whether dom0 is as o leaves it.
func (s *scene) is(o operation) (problem string) {
	store, err := keys.Open(s.root.Keys())
	if err != nil {
		return err.Error()
	}
	held, err := store.Get(qubeName)
	if err != nil && !errors.Is(err, keys.ErrNoKey) {
		return err.Error()
	}
	set, _, err := settings.Source{Path: s.root.Config()}.Load()
	if err != nil {
		return err.Error()
	}
	if same := func(a, b queue.Key) bool { return a.IsZero() && b.IsZero() || a.Equal(b) }; !same(held.Current, o.current) || !same(held.Next, o.next) {
		return fmt.Sprintf("the keys are %s, %s", held.Current, held.Next)
	}
	if slices.Contains(set.VMs, qubeName) != o.listed {
		return fmt.Sprintf("the settings list %q", set.VMs)
	}
	if paused, stopped := there(s.root.Pause()), there(s.root.Stop()); paused != o.paused || stopped != o.stopped {
		return fmt.Sprintf("paused: %v, stopped: %v", paused, stopped)
	}
	if rules, err := os.ReadFile(filepath.Join(s.root.Keys(), qubeName+".policy")); o.rules != "" && (err != nil || string(rules) != o.rules) {
		return fmt.Sprintf("the rules are %q, %v", rules, err)
	}
	return ""
}

func there(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// between lists what a crash in the middle of b, after a, may leave: the list
// of qubes is changed after the key that comes, and after the one that goes.
func between(a, b operation) []operation {
	states := []operation{a, b, {current: b.current, next: b.next, listed: a.listed, paused: a.paused, stopped: b.stopped, rules: b.rules}}
	if b.between {
		states = append(states, operation{listed: a.listed}, operation{listed: b.listed})
	}
	return states
}

// operated is dom0 after the first so many operations, kept to begin from.
type operated struct {
	dir    string // a copy of dom0's root
	op     operation
	before operation
	points []string
}

func (s *scene) copyRoot(from, to string) {
	s.t.Helper()
	must(s.t, os.MkdirAll(filepath.Dir(to), 0o755))
	must(s.t, os.RemoveAll(to))
	if out, err := exec.CommandContext(context.Background(), "cp", "-a", from, to).CombinedOutput(); err != nil {
		s.t.Fatalf("cp: %v\n%s", err, out)
	}
}

// traceOperations performs all operations once and says where each passed.
func traceOperations(t *testing.T) (list []operated) {
	s := newStage(t).newScene(t)
	before := operation{}
	seen := map[string]bool{}
	for i, o := range operations() {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(i))
		s.copyRoot(string(s.root), dir)
		trace := filepath.Join(t.TempDir(), "trace")
		p := s.perform(o, "", trace)
		if problem := s.is(o); !p.cmd.ProcessState.Success() || problem != "" {
			b, _ := os.ReadFile(s.log)
			t.Fatalf("%v: %v, %s\n%s", o.args, p.cmd.ProcessState, problem, b)
		}
		b, err := os.ReadFile(trace)
		must(t, err)
		list = append(list, operated{dir: dir, op: o, before: before, points: own(strings.Fields(string(b)), seen)})
		before = o
	}
	s.checkLog()
	return list
}

// own picks the points that belong to an operation, and those of the log's
// inside that no operation before it passed.
func own(passed []string, seen map[string]bool) (points []string) {
	for _, name := range passed {
		inside := strings.HasPrefix(name, "audit.") && !strings.HasSuffix(name, "-record")
		if slices.Contains(points, name) || inside && seen[name] {
			continue
		}
		seen[name] = true
		points = append(points, name)
	}
	return points
}

// interrupted kills an operation at a point: dom0 is as before it, as after
// it, or has no key where that is the safe one of the two; and doing it again
// comes to the same end as without the crash.
func (o operated) interrupted(t *testing.T, st *stage, point string) {
	s := st.newScene(t)
	defer os.RemoveAll(filepath.Dir(string(s.root)))
	defer func() {
		if t.Failed() {
			b, _ := os.ReadFile(s.log)
			t.Logf("what dom0 said:\n%s", b)
		}
	}()
	s.copyRoot(o.dir, string(s.root))
	if !s.perform(o.op, point, "").crashed() {
		t.Fatalf("%v did not get to %s again", o.op.args, point)
	}
	var problems []string
	for _, state := range between(o.before, o.op) {
		problem := s.is(state)
		if problem == "" {
			problems = nil
			break
		}
		problems = append(problems, problem)
	}
	if problems != nil {
		t.Errorf("after the crash dom0 is neither as before nor as after: %q", problems)
	}
	s.perform(o.op, "", "") // may say that there is nothing left to do
	if problem := s.is(o.op); problem != "" {
		t.Errorf("done again: %s", problem)
	}
	if o.op.event != "" && !slices.ContainsFunc(s.records(), func(r audit.Record) bool { return r.Event == o.op.event }) {
		t.Errorf("done again: %s is not in the log", o.op.event)
	}
	s.checkLog()
}

// crashOperations kills each operation at each of its points.
func crashOperations(t *testing.T) {
	list := traceOperations(t)
	jobs := make(chan func(*stage))
	var wg sync.WaitGroup
	for range workers {
		st := newStage(t)
		wg.Add(1)
		go func() {
			defer wg.Done()
			for job := range jobs {
				job(st)
			}
		}()
	}
	for i, o := range list {
		for _, point := range o.points {
			reached.add(point)
			jobs <- func(st *stage) {
				t.Run(fmt.Sprintf("%d-%s/%s", i+1, o.op.args[0], point), func(t *testing.T) { o.interrupted(t, st, point) })
			}
		}
	}
	close(jobs)
	wg.Wait()
}
