package daemon

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/burn"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// oldWorld has a qube for which version 1 is turned on for all.
func oldWorld(t *testing.T) (*testQube, *world) {
	t.Helper()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.writeConfig("QVM_REMOTE_LEGACY=1\n")
	return q, w
}

// submitOld writes as the first implementation does: body, then token.
func (q *testQube) submitOld(id, script string) {
	q.change(func() { q.bodies[id] = []byte(script) })
	q.put(id, []byte(queue.LegacyToken(q.key, id)+"\n"), script)
}

// oldResult waits for the answer to a version-1 request, which nobody signs.
func (q *testQube) oldResult(id string) queue.Finish {
	q.t.Helper()
	q.until("an answer to "+id, func() bool { return len(q.finishes[id]) > 0 })
	q.mu.Lock()
	defer q.mu.Unlock()
	f := q.finishes[id][0]
	if len(f.Auth) != 0 {
		q.t.Errorf("the answer to %s is signed", id)
	}
	return f
}

// refusedAs waits for an unsigned refusal.
func (q *testQube) refusedAs(id string, want queue.Reason) {
	q.t.Helper()
	q.until("a refusal of "+id, func() bool { return len(q.denies[id]) > 0 })
	q.mu.Lock()
	defer q.mu.Unlock()
	d := q.denies[id][0]
	if len(d.Auth) != 0 || !strings.HasPrefix(string(d.Denied), string(want)+"\n") {
		q.t.Errorf("%s was refused with %q, signed %v; want %s", id, d.Denied, len(d.Auth) > 0, want)
	}
}

func (w *world) burnFile(q *testQube) string {
	return filepath.Join(w.o.Root.Legacy(), q.name+"."+strings.ReplaceAll(q.key.Fingerprint(), " ", ""))
}

// marker is a file in dom0 that a command may leave.
func (w *world) marker(name string) string { return filepath.Join(w.o.Root.Home(), name) }

func (w *world) hasNot(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if _, err := os.Stat(w.marker(name)); err == nil {
			w.t.Errorf("%s ran", name)
		}
	}
}

// of are the records of an event.
func (w *world) of(e audit.Event) (list []audit.Record) {
	for _, r := range w.records() {
		if r.Event == e {
			list = append(list, r)
		}
	}
	return list
}

func TestVersionOneIsOffUnlessChosen(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	q.submitOld("a", "touch "+w.marker("a")+"\n")
	q.until("a refusal", func() bool { return len(q.denies["a"]) > 0 })
	w.hasNot("a")
}

func TestVersionOneRuns(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	w.start()
	q.submitOld("e2e-single-001", "echo hello; echo oops >&2; exit 7\n")
	f := q.oldResult("e2e-single-001")
	if f.Exit != "7" || !strings.Contains(string(f.Meta), "exit_code=7\n") {
		t.Errorf("%+v", f)
	}
	claims := w.of(audit.Claim)
	if len(claims) != 1 || claims[0].Version != 1 || claims[0].Timeout != 300 || claims[0].Expires-claims[0].Issued != 300 {
		t.Errorf("%+v", claims)
	}
	if b, err := os.ReadFile(w.burnFile(q)); err != nil || string(b) != "e2e-single-001\n" {
		t.Errorf("burnt: %q, %v", b, err)
	}
	// Version 2 goes on beside it.
	h := q.submit("b", "true\n")
	if r := q.result("b", h); r.State != queue.StateExit {
		t.Errorf("%+v", r)
	}
}

// TestTokenIsGoodOnce: also with another script, after a restart, and when the
// log has forgotten the claim.
func TestTokenIsGoodOnce(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	stop := w.start()
	q.submitOld("a", "echo >>"+w.marker("runs")+"\n")
	q.oldResult("a")
	again := func() {
		t.Helper()
		q.change(func() { delete(q.denies, "a") })
		q.submitOld("a", "echo >>"+w.marker("runs")+"; echo swapped\n")
		q.refusedAs("a", queue.Replayed)
	}
	again()
	stop()
	if err := os.RemoveAll(w.o.Root.Audit()); err != nil { // worse than any forgetting
		t.Fatal(err)
	}
	w.start()
	again()
	if b, err := os.ReadFile(w.marker("runs")); err != nil || string(b) != "\n" {
		t.Errorf("it ran %d times (%v)", len(b), err)
	}
}

// TestLostBurns: a list that is missing or shorter stops the qube, by name,
// until it has another key.
func TestLostBurns(t *testing.T) {
	t.Parallel()
	for name, hurt := range map[string]func(path string) error{
		"missing": os.Remove,
		"shorter": func(p string) error { return os.Truncate(p, 2) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q, w := oldWorld(t)
			stop := w.start()
			for _, id := range []string{"a", "b"} {
				q.submitOld(id, "true\n")
				q.oldResult(id)
			}
			stop()
			if err := hurt(w.burnFile(q)); err != nil {
				t.Fatal(err)
			}
			stop = w.start()
			q.submitOld("b", "touch "+w.marker("b")+"\n")
			q.refusedAs("b", queue.Replayed) // the log knows it still
			q.submitOld("c", "touch "+w.marker("c")+"\n")
			q.refusedAs("c", queue.BurnLost)
			w.hasNot("b", "c")
			h := q.submit("d", "true\n") // version 2 needs no list
			if r := q.result("d", h); r.State != queue.StateExit {
				t.Errorf("%+v", r)
			}
			stop()
			q.key = queue.GenerateKey()
			w.placeKey(q)
			if err := os.Remove(filepath.Join(w.o.Root.Keys(), q.name+".meta")); err != nil { // as authorize makes a new one
				t.Fatal(err)
			}
			w.start()
			q.submitOld("e", "true\n")
			q.oldResult("e")
		})
	}
}

// TestCrashBetweenClaimAndBurn: the id is burnt at the next start, and its
// client told that the command was interrupted, as the first daemon told it.
func TestCrashBetweenClaimAndBurn(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	stop := w.start()
	q.submitOld("before", "true\n")
	q.oldResult("before")
	w.eventually("its end", func() bool { return w.count(audit.Delivered, "before") == 1 })
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	p := w.past()
	claim := p.claimed(q, "a", 7, []byte("token"), true)
	claim.ID, claim.Number, claim.Version = "b", 8, 1
	p.add(claim)
	if _, err := p.s.Create(8, q.name, 100, q.key.Fingerprint(), q.key.ResultKey()); err != nil {
		t.Fatal(err)
	}
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	w.start()
	if f := q.oldResult("b"); f.Exit != "130" {
		t.Errorf("%+v", f)
	}
	if b, err := os.ReadFile(w.burnFile(q)); err != nil || string(b) != "before\nb\n" {
		t.Errorf("burnt: %q, %v", b, err)
	}
	q.submitOld("c", "true\n")
	q.oldResult("c")
}

// TestBareScripts: without a token, or with half of one, a script is left alone,
// told of once, and run when its token comes.
func TestBareScripts(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	w.start()
	token := queue.LegacyToken(q.key, "a")
	q.put("a", []byte(token[:10]), "true\n")
	told := func() int {
		n := 0
		for _, r := range w.of(audit.Refused) {
			if r.ID == "a" && r.Reason == string(queue.NoToken) {
				n++
			}
		}
		return n
	}
	w.eventually("it to be told of", func() bool { return told() == 1 })
	q.mu.Lock()
	_, there := q.bodies["a"]
	denied := len(q.denies["a"])
	q.mu.Unlock()
	if !there || denied != 0 {
		t.Errorf("it was not left alone: there %v, denied %d times", there, denied)
	}
	q.put("a", []byte(token), "true\n")
	q.oldResult("a")
	if told() != 1 {
		t.Errorf("told %d times", told())
	}
}

// TestScriptThatComesLate: our own client in that mode publishes it last.
func TestScriptThatComesLate(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	w.start()
	q.change(func() { q.headers["a"] = []byte(queue.LegacyToken(q.key, "a")); q.number++ })
	w.eventually("the claim", func() bool { return len(w.of(audit.Claim)) == 1 })
	q.change(func() { q.bodies["a"] = []byte("echo late\n") })
	if f := q.oldResult("a"); f.Exit != "0" || f.OutSize != 5 {
		t.Errorf("%+v", f)
	}
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	w.start()
	for id, token := range map[string]string{
		"zeros":    strings.Repeat("0", 64),
		"another":  queue.LegacyToken(q.key, "zeros"),
		"stranger": queue.LegacyToken(queue.GenerateKey(), "stranger"),
		"longer":   queue.LegacyToken(q.key, "longer") + "\n\n",
		"upper":    strings.ToUpper(queue.LegacyToken(q.key, "upper")),
	} {
		q.put(id, []byte(token), "touch "+w.marker(id)+"\n")
		q.refusedAs(id, queue.BadMAC)
		w.hasNot(id)
	}
	q.submitOld("large", strings.Repeat("#", queue.MaxScript+1))
	q.submitOld("binary", "echo \x1b\n")
	for id, want := range map[string]queue.Reason{"large": queue.Limit, "binary": queue.Binary} {
		if f := q.oldResult(id); !strings.HasPrefix(string(f.Denied), string(want)+"\n") {
			t.Errorf("%s: %+v", id, f)
		}
	}
}

// TestTurnedOffMeanwhile: what waits when version 1 is turned off does not start.
func TestTurnedOffMeanwhile(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	w.writeConfig("QVM_REMOTE_LEGACY=1\nQVM_REMOTE_CONCURRENT=1\nQVM_REMOTE_PER_QUBE=1\n")
	w.start()
	q.submitOld("first", "while [ ! -e "+w.marker("go")+" ]; do sleep 0.01; done\n")
	q.until("it to run", func() bool { return q.running["first"] == queue.WordRunning })
	q.submitOld("second", "touch "+w.marker("second")+"\n")
	q.until("it to be queued", func() bool { return q.running["second"] == queue.WordQueued })
	w.writeConfig("QVM_REMOTE_CONCURRENT=1\nQVM_REMOTE_PER_QUBE=1\n")
	w.eventually("the change", func() bool { return strings.Contains(recordsText(w.of(audit.Setting)), "QVM_REMOTE_LEGACY") })
	if err := os.WriteFile(w.marker("go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := q.oldResult("second"); !strings.HasPrefix(string(f.Denied), string(queue.Unsupported)+"\n") {
		t.Errorf("%+v", f)
	}
	w.hasNot("second")
}

func recordsText(records []audit.Record) string {
	text := ""
	for _, r := range records {
		text += r.Detail + "\n"
	}
	return text
}

// TestRefusedTokensAreUsedUp: told that it did not run, it must not run later.
func TestRefusedTokensAreUsedUp(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	stop := w.start()
	q.submitOld("a", "true\n")
	q.oldResult("a")
	must(t, errors.Join(stop(), os.RemoveAll(w.o.Root.Audit())))
	stop = w.start() // with floors in the future
	q.submitOld("n", "touch "+w.marker("n")+"\n")
	q.refusedAs("n", queue.Stale)
	must(t, stop())
	w.o.Now = func() time.Time { return time.Now().Add(10 * time.Minute) }
	w.start()
	q.change(func() { delete(q.denies, "n") })
	q.submitOld("n", "touch "+w.marker("n")+"\n")
	q.refusedAs("n", queue.Replayed)
	w.hasNot("n")
}

// TestListThatWasAwayAtTheStart: what could not be burnt again then is missed
// when the list is back, also beside ids that were burnt without a claim.
func TestListThatWasAwayAtTheStart(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	stop := w.start()
	q.submitOld("a", "true\n")
	q.oldResult("a")
	w.eventually("its end", func() bool { return w.count(audit.Delivered, "a") == 1 })
	must(t, stop())
	l, err := burn.Open(w.o.Root.Legacy(), q.name, q.key.Fingerprint(), 0)
	must(t, err)
	must(t, l.AddRefused("loud"))
	p := w.past()
	claim := p.claimed(q, "x", 7, []byte("token"), true)
	claim.ID, claim.Number, claim.Version = "b", 8, 1
	p.add(claim)
	_, err = p.s.Create(8, q.name, 100, q.key.Fingerprint(), q.key.ResultKey())
	must(t, errors.Join(err, p.log.Close(), os.Rename(w.burnFile(q), w.burnFile(q)+".away")))
	stop = w.start()
	q.oldResult("b")
	w.eventually("its end", func() bool { return w.count(audit.Delivered, "b") == 1 })
	must(t, errors.Join(stop(), os.Rename(w.burnFile(q)+".away", w.burnFile(q))))
	w.start()
	q.submitOld("c", "touch "+w.marker("c")+"\n")
	q.refusedAs("c", queue.BurnLost)
	w.hasNot("c")
}

// TestNewKeyBeginsANewList: also across a restart.
func TestNewKeyBeginsANewList(t *testing.T) {
	t.Parallel()
	q, w := oldWorld(t)
	stop := w.start()
	for _, id := range []string{"a", "b"} {
		q.submitOld(id, "true\n")
		q.oldResult(id)
	}
	store, err := keys.Open(w.o.Root.Keys())
	must(t, err)
	next := queue.GenerateKey()
	p := w.past()
	p.add(audit.Record{Event: audit.Rotating, Qube: q.name, Key: next.Fingerprint(), Floor: time.Now().Unix() - 60})
	must(t, errors.Join(p.log.Close(), store.PutNext(q.name, next)))
	q.key = next
	q.submitOld("c", "true\n")
	q.oldResult("c")
	must(t, stop())
	w.start()
	q.submitOld("d", "true\n")
	q.oldResult("d")
}
