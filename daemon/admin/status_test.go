package admin

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"qvmremote/daemon"
	"qvmremote/daemon/audit"
	"qvmremote/queue"
)

// executorRuns stands in for an executor until end or the test's own end: it
// holds its lock and tells of itself.
func (l *lab) executorRuns(st daemon.Status) (end func()) {
	l.t.Helper()
	l.must(makeFolder(l.Root.Run(), 0o700))
	f, err := os.OpenFile(l.Root.ExecutorLock(), os.O_CREATE|os.O_RDWR, 0o600)
	l.must(err)
	l.t.Cleanup(func() { f.Close() })
	l.must(syscall.Flock(int(f.Fd()), syscall.LOCK_EX))
	b, err := json.Marshal(st)
	l.must(err)
	l.must(os.WriteFile(l.Root.Status(), b, 0o600))
	return func() { f.Close() }
}

func TestStatus(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	systemdOf(l).SetEnabled(Service, "enabled")
	work, other := l.qube("work", "Running"), l.qube("other", "Halted")
	l.authorizeNew(work)
	l.authorizeNew(other)
	_, err := l.Revoke(context.Background(), other)
	l.must(err)
	st, err := l.Status(context.Background())
	l.must(err)
	if st.Running || st.Autostart != "enabled" || len(st.Qubes) != 2 || st.Qubes[0].Power != "Running" || st.Qubes[1].Power != "Halted" {
		t.Errorf("%+v", st)
	}
	l.executorRuns(daemon.Status{Pid: os.Getpid(), Since: time.Now(), Qubes: []daemon.QubeStatus{
		{Name: work, State: "connected", Running: 1, Open: 2, Refused: 3}, {Name: "given", State: "Halted"}}})
	st, err = l.Status(context.Background())
	l.must(err)
	if !st.Running || st.Pid != os.Getpid() || st.Since.IsZero() {
		t.Errorf("the executor is not seen: %+v", st)
	}
	if q := st.Qubes[0]; q.Connection != "connected" || q.Running != 1 || q.Open != 2 || q.Refused != 3 {
		t.Errorf("%+v", q)
	}
	if len(st.Qubes) != 3 || st.Qubes[2].Name != "given" {
		t.Errorf("a qube given with --vm is missing: %+v", st.Qubes)
	}
	l.must(os.WriteFile(l.Root.Status(), []byte("{"), 0o600))
	if st, _ = l.Status(context.Background()); !st.Running || len(st.Problems) != 1 {
		t.Errorf("%+v", st)
	}
}

// TestExecutorIsOnlyLookedAt: asking whether one runs must not make one that
// starts at that moment believe that it is the second.
func TestExecutorIsOnlyLookedAt(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "executor.lock")
	if _, running := executor(path); running {
		t.Error("running without a lock file")
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, running := executor(path); running {
		t.Error("running without a lock")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	if pid, running := executor(path); !running || pid != os.Getpid() {
		t.Errorf("pid %d, running %v", pid, running)
	}
}

// finds tells whether the doctor has a finding of that level with that text.
func finds(found []Finding, level Level, text string) bool {
	for _, f := range found {
		if f.Level == level && strings.Contains(f.Text, text) {
			return true
		}
	}
	return false
}

func TestDoctorOfAnEmptyDom0(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	found := l.Doctor(context.Background())
	if !finds(found, Bad, "daemon is not running") || !finds(found, Info, "no audit log yet") {
		t.Errorf("%+v", found)
	}
	if exists(l.Root.Audit()) {
		t.Error("the doctor began an audit log")
	}
}

func TestDoctorFinds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	future, rotating, bad, recreated, gone, bare := l.qube("future", "Running"), l.qube("rot", "Running"), l.qube("bad", "Running"),
		l.qube("new", "Running"), l.qube("gone", "Running"), l.qube("bare", "Running")
	l.executorRuns(daemon.Status{Pid: os.Getpid(), DryRun: true, Health: []daemon.Health{{Code: "mirror", Severity: "warning", Text: "behind"}},
		Qubes: []daemon.QubeStatus{{Name: "well", State: daemon.StateConnected}, {Name: "off", State: "Halted"}, {Name: "held", State: "Paused"},
			{Name: "new"}, {Name: "plain", State: daemon.StateNoAgent}, {Name: "lost", State: "connection lost"}, {Name: rotating, State: "connection lost"}}})
	l.set(rotating, "state", "Halted")
	key := l.authorizeNew(future)
	for _, vm := range []string{rotating, bad, recreated, gone, bare} {
		l.authorizeNew(vm)
	}
	ahead := time.Now().Add(time.Hour)
	exit := 0
	l.claimed(future, "r1", key, audit.Record{Event: audit.Final, State: audit.Exit, Exit: &exit})
	_, err := l.record(ctx, audit.Record{Event: audit.Floor, Qube: future, Key: key.Fingerprint(), Floor: ahead.Unix()})
	l.must(err)
	_, err = l.Rotate(ctx, rotating, queue.GenerateKey())
	l.must(err)
	l.must(os.Chmod(l.keyFile(bad), 0o666))
	l.set(recreated, "uuid", "99999999-2222-3333-4444-555555555555")
	l.must(os.RemoveAll(filepath.Join(os.Getenv(qubesEnv), gone)))
	_, err = l.Revoke(ctx, bare)
	l.must(err)
	conf, err := os.ReadFile(l.Root.Config())
	l.must(err)
	l.must(os.WriteFile(l.Root.Config(), append(conf, "\nQVM_REMOTE_PIDS_MAX=100\nQVM_REMOTE_LEGACI=1\nQVM_REMOTE_OTHER=1\n"...), 0o644))
	l.must(os.WriteFile(filepath.Join(l.Root.Keys(), "byhand.key"), queue.GenerateKey().Reveal(), 0o600))
	found := l.Doctor(ctx)
	for _, want := range []Finding{
		{Level: Bad, Text: "requests of " + future + " are refused as stale"}, {Level: Info, Text: rotating + " has two keys"},
		{Level: Bad, Text: "the key of " + bad + " cannot be used"}, {Level: Bad, Text: recreated + " is another qube"},
		{Level: Warning, Text: "a key for " + gone + ", but no such qube"}, {Level: Warning, Text: bare + " is configured but has no key"},
		{Level: Info, Text: "byhand has a key but is not configured"}, {Level: Info, Text: "placed by hand"},
		{Level: Warning, Text: "only pretends"}, {Level: Warning, Text: "mirror: behind"}, {Level: Warning, Text: "limit of pids is set but not in force"},
		{Level: Warning, Text: "QVM_REMOTE_LEGACI is no setting"}, {Level: Warning, Text: "QVM_REMOTE_OTHER is no setting"}, {Level: Good, Text: "the daemon runs"},
		{Level: Good, Text: "well is connected"}, {Level: Info, Text: "off is not running (Halted)"}, {Level: Info, Text: "held is paused"},
		{Level: Info, Text: rotating + " is not running (Halted)"}, {Level: Warning, Text: "plain has no qvm-remote"}, {Level: Warning, Text: "lost is not connected: connection lost, since"},
	} {
		if !finds(found, want.Level, want.Text) {
			t.Errorf("nothing says %q as %s", want.Text, want.Level)
		}
	}
	for _, f := range found {
		if f.Level == Bad && f.Next == "" && !strings.Contains(f.Text, "chmod") {
			t.Errorf("no next step for: %s", f.Text)
		}
	}
}

func TestDoctorFindsDamage(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	ctx := context.Background()
	work := l.qube("work", "Running")
	key := l.authorizeNew(work)
	segments, err := filepath.Glob(filepath.Join(l.Root.Audit(), "*.jsonl"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	l.must(os.Truncate(segments[0], 40))
	l.Now = func() time.Time { return time.Now().Add(-48 * time.Hour) } // dom0's clock is behind now
	l.must(os.WriteFile(l.Root.Config(), []byte("QVM_REMOTE_VMS=work work2 $x\n"), 0o600))
	found := l.Doctor(ctx)
	if finds(found, Info, "not configured") {
		t.Error("settings that cannot be read are taken for settings that name no qube")
	}
	if !finds(found, Bad, "audit log: ") || !finds(found, Bad, "settings are broken") {
		t.Errorf("%+v", found)
	}
	l.Now = time.Now
	if book, err := l.book(ctx); err != nil || l.floorOf(book, work, key) == 0 {
		t.Errorf("no floor for %s after a loss (%v)", work, err)
	}
}

func TestDoctorFindsAWrongClock(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.authorizeNew(l.qube("work", "Running"))
	l.Now = func() time.Time { return time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC) }
	found := l.Doctor(context.Background())
	if !finds(found, Bad, "dom0's clock says 2020") || !finds(found, Warning, "from the future") {
		t.Errorf("%+v", found)
	}
}

func TestDoctorWithoutTools(t *testing.T) {
	l := newLab(t)
	withoutTools(t)
	found := l.Doctor(context.Background())
	if !finds(found, Bad, "no qube can be called") || !finds(found, Warning, "qvm-ls cannot be used") {
		t.Errorf("%+v", found)
	}
}
