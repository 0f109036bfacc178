package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/queue"
)

// checkpoint is what a qube holds against dom0's root: a line of a result in
// its history.
func (q *qube) checkpoint(id string) string {
	q.t.Helper()
	found, err := filepath.Glob(filepath.Join(q.layout.History(), "*", id, "result"))
	must(q.t, err)
	if len(found) != 1 {
		q.t.Fatalf("the history has %d results of %s", len(found), id)
	}
	b, err := os.ReadFile(found[0])
	must(q.t, err)
	for _, line := range strings.Split(string(b), "\n") {
		if c, ok := strings.CutPrefix(line, "checkpoint "); ok && c != "none" {
			return c
		}
	}
	q.t.Fatalf("no checkpoint in %q", b)
	return ""
}

// forge makes another log in to with the signing key of the one in from: what
// root can do. change may alter a record, and drops it by returning false.
func forge(t *testing.T, from, to string, change func(r *audit.Record) bool) {
	t.Helper()
	must(t, os.MkdirAll(to, 0o700))
	for _, name := range []string{"key", "key.pub"} {
		b, err := os.ReadFile(filepath.Join(from, name))
		must(t, err)
		write(t, filepath.Join(to, name), string(b))
	}
	var now time.Time
	var all []audit.Record
	must(t, audit.Read(context.Background(), from, 0, func(r audit.Record, _ []byte) error {
		if r.Event != audit.CarryEvent && change(&r) {
			all = append(all, r)
		} else if now.IsZero() {
			now = r.Time
		}
		return nil
	}))
	log, err := audit.Open(context.Background(), to, audit.Options{Now: func() time.Time { return now }, Reserve: -1}, claim.NewBook())
	must(t, err)
	for _, r := range all {
		now = r.Time
		_, err := log.Update(context.Background(), func(tx *audit.Tx) error { tx.Add(r); return nil })
		must(t, err)
	}
	must(t, log.Close())
}

func TestRewrittenLogIsFound(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work", "other")
	d := h.start()
	q, other := h.of("work"), h.of("other")
	var ids, checkpoints []string
	for i := range 3 {
		s := q.put(q.craft(fmt.Sprintf("echo secret deed %d\n", i)))
		if r := q.answered(s.ID); r.code != 0 {
			t.Fatalf("%+v", r)
		}
		ids, checkpoints = append(ids, s.ID), append(checkpoints, q.checkpoint(s.ID))
		other.works()
	}
	d.stop()
	dir := h.root.Audit()
	verify := func(dir string, checkpoints ...string) audit.Report {
		report, err := audit.Verify(context.Background(), dir, checkpoints)
		must(t, err)
		return report
	}
	if r := verify(dir, checkpoints...); !r.OK() || len(r.Checked) != 3 || r.Proven == 0 {
		t.Errorf("the log as it is: %v", r)
	}
	if r := verify(dir, "sha256:"+strings.Repeat("ab", 32)); r.OK() {
		t.Errorf("a checkpoint of no log: %v", r)
	}
	whole := func(*audit.Record) bool { return true }
	for name, change := range map[string]func(r *audit.Record) bool{
		"a command altered": func(r *audit.Record) bool {
			r.Command = strings.Replace(r.Command, "secret deed 0", "nothing at all", 1)
			return true
		},
		"a request removed":  func(r *audit.Record) bool { return r.ID != ids[0] },
		"everything cut off": func(r *audit.Record) bool { return r.ID == "" || r.ID == ids[0] },
	} {
		forged := filepath.Join(t.TempDir(), "audit")
		forge(t, dir, forged, change)
		alone := verify(forged)
		if !alone.OK() || alone.Proven != 0 || !strings.Contains(alone.String(), "cannot show whether root rewrote the log") {
			t.Errorf("%s: without a checkpoint the log must look good, and verify must say what it cannot know: %v", name, alone)
		}
		if r := verify(forged, checkpoints[2]); r.OK() {
			t.Errorf("%s: not found with the newest checkpoint: %v", name, r)
		}
		if r := verify(forged, checkpoints...); r.OK() {
			t.Errorf("%s: not found with all checkpoints: %v", name, r)
		}
	}
	same := filepath.Join(t.TempDir(), "audit")
	forge(t, dir, same, whole)
	if r := verify(same, checkpoints...); !r.OK() { // the forger's tool itself changes nothing
		t.Errorf("the same records written again: %v", r)
	}
}

// TestOldFolderPutBack: root puts back the audit folder of an hour ago. That
// log is signed and whole; only who holds a newer checkpoint can tell.
func TestOldFolderPutBack(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work")
	d := h.start()
	q := h.of("work")
	q.works()
	d.stop()
	old := filepath.Join(h.World.Dir, "audit-then")
	copyTree(t, h.root.Audit(), old)
	d = h.start()
	s := q.put(q.craft("echo deed\n"))
	q.answered(s.ID)
	d.stop()
	report, err := audit.Verify(context.Background(), old, nil)
	must(t, err)
	if !report.OK() {
		t.Errorf("the old folder: %v", report)
	}
	report, err = audit.Verify(context.Background(), old, []string{q.checkpoint(s.ID)})
	must(t, err)
	if report.OK() || !strings.Contains(report.String(), "rewritten or cut") {
		t.Errorf("the old folder and a newer checkpoint: %v", report)
	}
}

// TestOneLogManyWriters: the daemon and other programs append at once, while
// others verify.
func TestOneLogManyWriters(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	h.of("work").works()
	const writers, each = 3, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			appendMany(t, h.root.Audit(), fmt.Sprint("writer ", w), each)
		}()
	}
	var sent []*submission
	for range 5 {
		for _, name := range []string{"work", "other"} {
			q := h.of(name)
			sent = append(sent, q.put(q.craft("true\n")))
		}
		h.verified()
	}
	wg.Wait()
	for _, s := range sent {
		await(t, "every request to be delivered", func() bool { return h.about(s.ID, audit.Delivered) == 1 })
	}
	next, foreign := int64(0), 0
	for _, r := range h.records() {
		if r.Seq != next {
			t.Fatalf("record %d stands where %d should", r.Seq, next)
		}
		next++
		if r.Event == audit.Setting {
			foreign++
		}
	}
	if foreign != writers*each {
		t.Errorf("%d records of others, want %d", foreign, writers*each)
	}
	h.of("other").works()
	h.verified()
}

// appendMany opens the log as another program does, for each record anew.
func appendMany(t *testing.T, dir, who string, n int) {
	for range n {
		log, err := audit.Open(context.Background(), dir, audit.Options{}, claim.NewBook())
		if err != nil {
			t.Errorf("%s: %v", who, err)
			return
		}
		_, err = log.Update(context.Background(), func(tx *audit.Tx) error {
			tx.Add(audit.Record{Event: audit.Setting, Who: who, Way: "cli", Detail: "a test"})
			return nil
		})
		if cerr := log.Close(); err != nil || cerr != nil {
			t.Errorf("%s: %v, %v", who, err, cerr)
			return
		}
	}
}

// TestClaimSeesWhatOthersRecord: another program raises the floor while the
// daemon runs; the very next request is held against it.
func TestClaimSeesWhatOthersRecord(t *testing.T) {
	once(t)
	t.Parallel()
	h := newHouse(t, "work", "other")
	h.start()
	q := h.of("work")
	q.works()
	log, err := audit.Open(context.Background(), h.root.Audit(), audit.Options{}, claim.NewBook())
	must(t, err)
	_, err = log.Update(context.Background(), func(tx *audit.Tx) error {
		tx.Add(audit.Record{Event: audit.Floor, Qube: q.Name, Key: q.key.Fingerprint(), Floor: time.Now().Unix() + 3600, Way: "cli"})
		return nil
	})
	must(t, err)
	must(t, log.Close())
	s := q.put(q.craft("touch floor-mark\n"))
	q.refused(s.ID, queue.Stale)
	h.of("other").works()
	if exists(h.marker("floor-mark")) {
		t.Error("ran below the floor")
	}
}
