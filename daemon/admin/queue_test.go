package admin

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

const old = 2 * Stale

// claimed writes the records of a request that dom0 took.
func (l *lab) claimed(vm, id string, key queue.Key, more ...audit.Record) {
	l.t.Helper()
	records := append([]audit.Record{{Event: audit.Claim, Kind: "script", Version: 2, Request: queue.DigestOf([]byte(id)).String(),
		Issued: time.Now().Unix(), Expires: time.Now().Unix() + 300}}, more...)
	for i := range records {
		records[i].Qube, records[i].ID, records[i].Number, records[i].Key = vm, id, 7, key.Fingerprint()
	}
	_, err := l.record(context.Background(), records...)
	l.must(err)
}

func TestQueuesCountsRequests(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work, halted := l.qube("work", "Running"), l.qube("halted", "Halted")
	layout := l.layout(work)
	for _, path := range []string{layout.Body("r1"), layout.Header("r1"), layout.Body("r2"), layout.Header("r2"), layout.Running("r3"),
		layout.Result("r4", queue.Out), layout.Result("r4", queue.Exit), layout.Result("r5", queue.Denied)} {
		l.file(path, "queued", 0)
	}
	l.file(layout.PendingDir()+"/$(id)", "", 0)
	got := l.Queues(context.Background(), []string{work, halted, "nobody"})
	w := got[0]
	if w.Note != "" || w.Pending != 2 || w.Running != 1 || w.Results != 2 || w.More != 1 {
		t.Errorf("%+v", w)
	}
	if got[1].Note != NotRunning || got[2].Note != "no such qube" {
		t.Errorf("%+v %+v", got[1], got[2])
	}
}

// TestQueuesOfAHostileQube: whatever it answers, the others are shown.
func TestQueuesOfAHostileQube(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work, evil := l.qube("work", "Running"), l.qube("evil", "Running")
	l.layout(work)
	for name, answer := range map[string]string{"silence": "\n", "noise": strings.Repeat("x", 100_000),
		"a frame nobody asked for": queue.Magic + "\x00\x00\x00\x05\x81\x00\x00\x00\x09"} {
		l.set(evil, "hostile", answer)
		got := l.Queues(context.Background(), []string{evil, work})
		if got[0].Note == "" || got[1].Note != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestCleanTakesOnlyWhatIsStale(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	layout := l.layout(work)
	stale, fresh, open := layout.Body("stale"), layout.Body("fresh"), layout.Result("open", queue.Out)
	l.file(stale, "x", old)
	l.file(fresh, "x", 0)
	l.file(open, "x", old)
	l.claimed(work, "open", key)
	q := l.Clean(context.Background(), []string{work}, false)[0]
	if q.Note != "" || !slices.Equal(q.Done, []string{"pending/stale"}) || q.Skipped != 2 || exists(stale) || !exists(fresh) || !exists(open) {
		t.Errorf("%+v", q)
	}
	q = l.Clean(context.Background(), []string{work}, true)[0]
	if q.Note != "" || exists(fresh) || !exists(open) {
		t.Errorf("with all: %+v", q)
	}
	events := l.events()
	if !slices.Equal(events[len(events)-2:], []audit.Event{audit.Cleaned, audit.Cleaned}) {
		t.Errorf("the log has %v", events)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(b)
}

func TestRecover(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	layout := l.layout(work)
	for _, id := range []string{"open", "lost", "told", "answered", "never-taken"} {
		l.file(layout.Running(id), "running", old)
	}
	l.file(layout.Result("lost", queue.Out), "half of it", old)
	l.file(layout.Result("answered", queue.Exit), "0", old)
	exit := 0
	final := audit.Record{Event: audit.Final, State: audit.Exit, Exit: &exit}
	l.claimed(work, "open", key)
	l.claimed(work, "lost", key, final, audit.Record{Event: audit.Delivered, Detail: "given up"})
	l.claimed(work, "told", key, final, audit.Record{Event: audit.Delivered, Checkpoint: "sha256:1"})

	q := l.Recover(context.Background(), []string{work})[0]
	slices.Sort(q.Done)
	if q.Note != "" || !slices.Equal(q.Done, []string{"answered", "lost", "never-taken", "told"}) || q.Skipped != 1 {
		t.Fatalf("%+v", q)
	}
	if !exists(layout.Running("open")) {
		t.Error("what dom0 works on was answered")
	}
	for _, id := range q.Done {
		if exists(layout.Running(id)) {
			t.Errorf("%s still seems to run", id)
		}
	}
	if exists(layout.Result("told", queue.Exit)) {
		t.Error("what had its answer got a second one")
	}
	if got := read(t, layout.Result("answered", queue.Exit)); got != "0" {
		t.Errorf("an answer was written over with %q", got)
	}
	if got := read(t, layout.Result("never-taken", queue.Exit)); got != "130" || exists(layout.Result("never-taken", queue.Auth)) {
		t.Errorf("what dom0 never took: exit %s", got)
	}
	if got := read(t, layout.Result("lost", queue.Exit)); got != "125" {
		t.Errorf("a lost answer: exit %s", got)
	}
	auth := []byte(read(t, layout.Result("lost", queue.Auth)))
	res, err := queue.OpenResult(auth, key.ResultKey())
	if err != nil || res.State != queue.StateInterrupted || res.Request != queue.DigestOf([]byte("lost")) ||
		res.Out != queue.SumOf([]byte(read(t, layout.Result("lost", queue.Out)))) || res.Err != queue.SumOf([]byte(read(t, layout.Result("lost", queue.Err)))) {
		t.Errorf("the signed answer: %+v, %v", res, err)
	}
	if again := l.Recover(context.Background(), []string{work})[0]; len(again.Done) != 0 || again.Note != "" {
		t.Errorf("a second time: %+v", again)
	}
}

// TestRecoverAfterRevoke: without the key nothing can be signed.
func TestRecoverAfterRevoke(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	layout := l.layout(work)
	l.file(layout.Running("lost"), "running", old)
	l.claimed(work, "lost", key, audit.Record{Event: audit.Delivered, Detail: "given up"})
	_, err := l.Revoke(context.Background(), work)
	l.must(err)
	q := l.Recover(context.Background(), []string{work})[0]
	if q.Note != "" || len(q.Done) != 1 || exists(layout.Result("lost", queue.Auth)) || read(t, layout.Result("lost", queue.Exit)) != "125" {
		t.Errorf("%+v", q)
	}
}

func TestDebugAndTargets(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work, other := l.qube("work", "Running"), l.qube("other", "Halted")
	key := l.authorizeNew(work)
	l.authorizeNew(other)
	l.layout(work)
	for _, id := range []string{"a", "b", "c"} {
		l.claimed(work, id, key)
	}
	vms, err := l.Targets(ctx, nil)
	if err != nil || !slices.Equal(vms, []string{work, other}) {
		t.Errorf("targets %v, %v", vms, err)
	}
	if _, err := l.Targets(ctx, []string{"dom0"}); err == nil {
		t.Error("dom0 has no queue")
	}
	reports, err := l.Debug(ctx, vms, 2)
	l.must(err)
	if got := reports[0].Records; len(got) != 2 || got[0].ID != "b" || got[1].ID != "c" {
		t.Errorf("records: %+v", got)
	}
	for _, r := range reports[1].Records {
		if r.Qube != other {
			t.Errorf("a record of another qube: %+v", r)
		}
	}
}
