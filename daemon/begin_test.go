package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/daemon/spool"
	"qvmremote/queue"
)

// past writes what an earlier daemon left in the log and, where the number is
// kept, in the spool.
type past struct {
	w   *world
	log *audit.Log
	s   *spool.Spool
}

func (w *world) past() *past {
	w.t.Helper()
	if err := os.MkdirAll(w.o.Root.State(), 0o700); err != nil {
		w.t.Fatal(err)
	}
	l, err := audit.Open(w.t.Context(), w.o.Root.Audit(), audit.Options{}, claim.NewBook())
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := spool.Open(w.o.Root.Spool(), spool.Quota{Qube: 1 << 30, Total: 1 << 30})
	if err != nil {
		w.t.Fatal(err)
	}
	return &past{w: w, log: l, s: s}
}

func (p *past) add(records ...audit.Record) {
	p.w.t.Helper()
	_, err := p.log.Update(p.w.t.Context(), func(tx *audit.Tx) error {
		for _, r := range records {
			tx.Add(r)
		}
		return nil
	})
	if err != nil {
		p.w.t.Fatal(err)
	}
}

func (p *past) claimed(q *testQube, id string, number int64, header []byte, keep bool) audit.Record {
	p.w.t.Helper()
	r := audit.Record{Event: audit.Claim, Qube: q.name, ID: id, Number: number, Key: q.key.Fingerprint(), Kind: queue.KindScript, Version: 2,
		Request: queue.DigestOf(header).String(), Issued: time.Now().Unix(), Expires: time.Now().Unix() + 300}
	p.add(r)
	if keep {
		if _, err := p.s.Create(number, q.name, 100, q.key.Fingerprint(), q.key.ResultKey()); err != nil {
			p.w.t.Fatal(err)
		}
	}
	return r
}

// TestAStartTakesUpWhatACrashLeft: open is interrupted, final is delivered,
// what cannot be answered is closed, nothing is run.
func TestAStartTakesUpWhatACrashLeft(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	p := w.past()
	headers := map[string][]byte{}
	for i, id := range []string{"open", "ran", "final", "lost", "lost-final"} {
		headers[id] = q.header(id, "echo ran again\n", nil)
		r := p.claimed(q, id, int64(i+1), headers[id], !strings.HasPrefix(id, "lost"))
		base := audit.Record{Qube: r.Qube, ID: r.ID, Number: r.Number, Key: r.Key}
		run, final, exit := base, base, 7
		run.Event = audit.Run
		final.Event, final.State, final.Exit, final.Out, final.Err = audit.Final, audit.Exit, &exit, queue.SumOf(nil).String(), queue.SumOf(nil).String()
		switch id {
		case "ran":
			p.add(run)
		case "final", "lost-final":
			p.add(run, final)
		}
	}
	stray := filepath.Join(w.o.Root.Spool(), "41")
	if err := errors.Join(p.log.Close(), os.Mkdir(stray, 0o700)); err != nil {
		t.Fatal(err)
	}
	w.start()
	if r := q.result("open", headers["open"]); r.State != queue.StateInterrupted || r.Exit != queue.ExitInterrupted || r.Started != 0 {
		t.Errorf("open: %+v", r)
	}
	if r := q.result("ran", headers["ran"]); r.State != queue.StateInterrupted || r.Started == 0 {
		t.Errorf("ran: %+v", r)
	}
	if r := q.result("final", headers["final"]); r.State != queue.StateExit || r.Exit != 7 {
		t.Errorf("final: %+v", r)
	}
	w.eventually("all are closed, the spool is empty", func() bool { return w.count(audit.Delivered, "") == 5 && w.spooled() == 0 })
	for id := range headers {
		if n := w.count(audit.Final, id); n != 1 {
			t.Errorf("%s has %d final states", id, n)
		}
	}
	if n := w.count(audit.Run, ""); n != 3 {
		t.Errorf("%d runs are recorded, all of them were before the start: 3", n)
	}
	q.result("next", q.submit("next", "true\n"))
	for _, r := range w.records() {
		if r.Event == audit.Claim && r.ID == "next" && r.Number != 42 {
			t.Errorf("the next request has number %d, a folder had 41", r.Number)
		}
	}
}

func (w *world) floorOf(q *testQube) (floor int64) {
	for _, r := range w.records() {
		if r.Event == audit.Floor && r.Qube == q.name && r.Key == q.key.Fingerprint() {
			floor = max(floor, r.Floor)
		}
	}
	return floor
}

func TestAHandPlacedKeyBeginsNow(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	now := time.Now().Unix()
	old := q.header("old", "true\n", func(r *queue.Request) { r.Issued -= 120 })
	q.put("old", old, "true\n")
	if r := q.denial("old", old); r.Reason != queue.Stale {
		t.Errorf("%+v", r)
	}
	q.result("new", q.submit("new", "true\n"))
	store, err := keys.Open(w.o.Root.Keys())
	if err != nil {
		t.Fatal(err)
	}
	held, err := store.Get(q.name)
	if err != nil || !held.HasMeta || held.Meta.UUID != uuidOf(q.name) {
		t.Errorf("its meta: %+v, %v", held.Meta, err)
	}
	if f := w.floorOf(q); f < now-62 || f > now-58 {
		t.Errorf("its floor is %d s from now", f-now)
	}
}

// TestAKeyTakenUpDuringAStartBeginsNow: a new log knows of nothing before it, but
// what an administrator records in it while the daemon starts is not lost.
func TestAKeyTakenUpDuringAStartBeginsNow(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.startAfter(func() {
		w.recordElsewhere(audit.Record{Event: audit.Floor, Qube: q.name, Key: q.key.Fingerprint(), Floor: time.Now().Add(-queue.ClockSlack).Unix(), Way: "cli"})
		w.meta(q, func(m *keys.Meta) { m.Authorised, m.UUID = time.Now().Unix(), uuidOf(q.name) })
	})
	q.ran("new", q.submit("new", "true\n"))
}

// recordElsewhere writes to the log as another program does.
func (w *world) recordElsewhere(records ...audit.Record) {
	w.t.Helper()
	log, err := audit.Open(w.t.Context(), w.o.Root.Audit(), audit.Options{}, claim.NewBook())
	if err != nil {
		w.t.Fatal(err)
	}
	(&past{w: w, log: log}).add(records...)
	if err := log.Close(); err != nil {
		w.t.Fatal(err)
	}
}

// TestAKeyFromAnotherLogWaits: what it signed until a minute from now may have
// been claimed in a log that is gone.
func TestAKeyFromAnotherLogWaits(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	stop := w.start()
	q.result("a", q.submit("a", "true\n"))
	if err := errors.Join(stop(), os.RemoveAll(w.o.Root.Audit())); err != nil {
		t.Fatal(err)
	}
	w.start()
	h := q.submit("b", "true\n")
	if r := q.denial("b", h); r.Reason != queue.Stale {
		t.Errorf("%+v", r)
	}
}

// TestAShorterLogRaisesFloors: the claims that its tail held are not lost.
func TestAShorterLogRaisesFloors(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	stop := w.start()
	h := q.submit("a", "true\n")
	q.result("a", h)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(w.o.Root.Audit(), "*.jsonl"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	b, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(b), "\n")
	kept := 0
	for kept < len(lines) && !strings.Contains(lines[kept], `"event":"claim"`) {
		kept++
	}
	if err := os.WriteFile(segments[0], []byte(strings.Join(lines[:kept], "")), 0o600); err != nil {
		t.Fatal(err)
	}
	w.start()
	q.put("a", h, "true\n")
	if r := q.denial("a", h); r.Reason != queue.Stale {
		t.Errorf("%+v", r)
	}
	if f := w.floorOf(q); f < time.Now().Unix()+30 {
		t.Errorf("the floor is %d s from now", f-time.Now().Unix())
	}
}

func TestAKeyThatAnotherQubeHasIsRefused(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	other := newTestQube(t)
	w.o.VMs = append(w.o.VMs, other.name)
	w.start()
	q.result("a", q.submit("a", "true\n"))
	other.key = q.key
	w.placeKey(other)
	h := other.submit("a", "true\n")
	if r := other.denial("a", h); r.State != queue.StateDenied {
		t.Errorf("%+v", r)
	}
	if w.count(audit.Claim, "") != 1 {
		t.Error("it was claimed")
	}
}

func TestARecreatedQubeIsRefused(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	store, err := keys.Open(w.o.Root.Keys())
	if err == nil {
		err = store.PutMeta(q.name, keys.Meta{UUID: strings.ReplaceAll(uuidOf(q.name), "1", "9")})
	}
	if err != nil {
		t.Fatal(err)
	}
	w.start()
	h := q.submit("a", "true\n")
	if r := q.denial("a", h); r.Reason != queue.OtherQube {
		t.Errorf("%+v", r)
	}
}

func TestPreview(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxPreview)
	for name, c := range map[string]struct{ script, want string }{
		"as it is":     {"ls\n", "ls"},
		"two lines":    {"ls\npwd\n", "ls\npwd"},
		"not UTF-8":    {"echo \xff\n", queue.Escape("echo \xff\n", 100)},
		"cut":          {long, long[:maxPreview] + fmt.Sprintf("… (%d bytes in all)", len(long))},
		"cut inside é": {"x" + long, "x" + long[:maxPreview-2] + fmt.Sprintf("… (%d bytes in all)", len(long)+1)},
	} {
		if got := preview([]byte(c.script)); got != strings.TrimSuffix(c.want, "\n") || !utf8.ValidString(got) {
			t.Errorf("%s: %.60q, want %.60q", name, got, c.want)
		}
	}
}
