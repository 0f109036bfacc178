package daemon

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"qvmremote/daemon/audit"
	"qvmremote/daemon/claim"
	"qvmremote/daemon/keys"
	"qvmremote/queue"
)

// supervisors is how many run folders there are: one for each supervisor.
func (w *world) supervisors() (n int) {
	entries, _ := os.ReadDir(w.o.Root.Run())
	for _, e := range entries {
		if e.IsDir() {
			n++
		}
	}
	return n
}

// TestOneSupervisorWaitsForAQube: one that keeps its scripts back does not fill
// dom0 with processes that wait for them, and neither do its requests that are
// refused because too many are open.
func TestOneSupervisorWaitsForAQube(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Environ = append(w.o.Environ, "QVM_REMOTE_MAX_PENDING=6")
	q.trickle = true
	w.start()
	script := strings.Repeat("# long\n", 100_000)
	for i := range 10 {
		q.submit(fmt.Sprint("a", i), script)
	}
	w.eventually("all of them are taken", func() bool { return w.count(audit.Claim, "") == 10 })
	if n := w.supervisors(); n > 1 {
		t.Errorf("%d supervisors wait", n)
	}
	q.change(func() { q.trickle = false })
	w.eventually("all of them are answered", func() bool { return w.count(audit.Delivered, "") == 10 })
	w.eventually("no supervisor is left", func() bool { return w.supervisors() == 0 })
}

// TestRefusalsArePaced: a qube that always has new names to refuse costs dom0
// so many questions a second, not a processor. Only an upper bound of what is
// done in a time is asserted.
func TestRefusalsArePaced(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(queue.Message) *queue.Failure{
		"forged": nil,
		"gone": func(m queue.Message) *queue.Failure {
			if _, ok := m.(*queue.Fetch); ok {
				return &queue.Failure{Code: queue.CodeGone}
			}
			return nil
		},
		"takes no denial": func(m queue.Message) *queue.Failure {
			if _, ok := m.(*queue.Deny); ok {
				return &queue.Failure{Code: queue.CodeFailed, Text: "no"}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			q := newTestQube(t)
			w := newWorld(t, q)
			q.stubborn = true
			q.setRefuse(lie)
			var began time.Time
			looks := 0
			q.fresh = func() (ids []string) { // called with each answer to wait
				if looks++; looks == 1 {
					began = time.Now()
				}
				for i := range 200 {
					ids = append(ids, fmt.Sprintf("l%d-%d", looks, i))
				}
				return ids
			}
			w.start()
			q.until("ten looks", func() bool { return looks >= 10 })
			q.mu.Lock()
			took := time.Since(began)
			q.mu.Unlock()
			if least := 9 * 200 * time.Second / maxIdle; took < least {
				t.Errorf("1800 names were refused in %s, less than %s", took, least)
			}
			if n := strings.Count(w.said.String(), "did not take a denial"); n > 40 {
				t.Errorf("%d lines in the journal", n)
			}
		})
	}
}

// TestToldNotToRun: a request whose denial dom0 signed because it could not
// tell whether the key still counts does not run once it can; also where a copy
// of it is put back.
func TestToldNotToRun(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.o.Times.Skip = 1
	stop := w.start()
	q.result("first", q.submit("first", "true\n")) // the key has its uuid now
	if err := errors.Join(stop(), os.WriteFile(hiddenUUID(q.name), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	w.start()
	h := q.submit("a", "echo ran\n")
	if r := q.denial("a", h); r.Reason != queue.NotReady {
		t.Fatalf("%+v", r)
	}
	forged := append(h[:len(h)-2:len(h)-2], "0\n"...)
	q.put("b", forged, "echo ran\n")
	q.until("the forged one is refused", func() bool { return len(q.denies["b"]) == 1 })
	if err := os.Remove(hiddenUUID(q.name)); err != nil {
		t.Fatal(err)
	}
	q.put("a", h, "echo ran\n")
	q.until("it is answered again", func() bool { return len(q.denies["a"]) == 2 || len(q.finishes["a"]) > 0 })
	if n := w.count(audit.Run, "a"); n != 0 {
		t.Fatal("it ran")
	}
	q.mu.Lock()
	again := q.denies["a"][1].Auth
	q.mu.Unlock()
	if r := q.open("a", h, again); r.Reason != queue.Replayed {
		t.Errorf("%+v", r)
	}
	if r := q.result("c", q.submit("c", "true\n")); r.State != queue.StateExit {
		t.Errorf("%+v", r)
	}
}

// TestDescriptorsOfTheUndelivered: a qube that goes away after it asked for much
// does not leave dom0 with the open outputs of all of it.
func TestDescriptorsOfTheUndelivered(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	w.start()
	gone := t.TempDir() + "/gone"
	for i := range 3 {
		q.submit(fmt.Sprint("a", i), "until [ -e "+gone+" ]; do sleep 0.02; done; echo out; echo err >&2\n")
	}
	q.until("all of them run", func() bool {
		n := 0
		for _, word := range q.running {
			if word == queue.WordRunning {
				n++
			}
		}
		return n == 3
	})
	q.halt()
	if err := os.WriteFile(gone, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	w.eventually("all of them ended", func() bool { return w.count(audit.Final, "") == 3 })
	w.eventually("no output is open", func() bool { return w.openBelow(w.o.Root.Spool()) == 0 })
}

// openBelow is how many files below dir this process has open.
func (w *world) openBelow(dir string) (n int) {
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		w.t.Fatal(err)
	}
	for _, fd := range fds {
		if to, err := os.Readlink("/proc/self/fd/" + fd.Name()); err == nil && strings.HasPrefix(to, dir+"/") {
			n++
		}
	}
	return n
}

// TestAnotherQubeGetsNoAnswers: what ran for a qube that was removed is not
// delivered to another one that was given its name.
func TestAnotherQubeGetsNoAnswers(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	q.setRefuse(noFinish)
	stop := w.start()
	h := q.submit("a", "echo secret\n")
	w.eventually("it ran", func() bool { return w.count(audit.Final, "a") == 1 })
	store, err := keys.Open(w.o.Root.Keys())
	authorise := func(uuid string) {
		if err == nil {
			err = store.PutMeta(q.name, keys.Meta{UUID: uuid})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	authorise(strings.ReplaceAll(uuidOf(q.name), "1", "9"))
	q.change(func() { clear(q.out) })
	q.setRefuse(nil)
	w.start()
	for _, id := range []string{"b", "c"} {
		if r := q.denial(id, q.submit(id, "true\n")); r.Reason != queue.OtherQube {
			t.Errorf("%+v", r)
		}
	}
	q.mu.Lock()
	if len(q.finishes) > 0 || len(q.out) > 0 {
		t.Errorf("it was told %v, output %q", q.finishes, q.out)
	}
	q.mu.Unlock()
	authorise(uuidOf(q.name)) // it is the right one after all
	q.submit("d", "true\n")
	if r := q.result("a", h); r.State != queue.StateExit {
		t.Errorf("%+v", r)
	}
}

// TestAFailedDeliveryIsToldNowAndThen: one that takes no answer of the many that wait for
// it is tried again and again, and told of so many times a minute.
func TestAFailedDeliveryIsToldNowAndThen(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	q.setRefuse(noFinish)
	w.start()
	for i := range 20 {
		id := fmt.Sprint("a", i)
		q.put(id, q.header(id, "", func(r *queue.Request) { r.Kind = queue.KindPing }), "")
	}
	q.until("two hundred tries", func() bool { return q.asked[queue.FrameFinish] > 200 })
	if n := strings.Count(w.said.String(), "cannot deliver a result"); n == 0 || n > 2*maxTold {
		t.Errorf("%d lines in the journal", n)
	}
}

// TestAnOldCancelIsNoAnswer: one that a stray process kept and puts back, when
// the claim of the request it ended is forgotten, gives that id no second end.
func TestAnOldCancelIsNoAnswer(t *testing.T) {
	t.Parallel()
	q := newTestQube(t)
	w := newWorld(t, q)
	var ahead atomic.Int64
	w.o.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	x, err := open(t.Context(), w.o)
	if err != nil {
		t.Fatal(err)
	}
	defer x.close()
	x.accepting, x.hard, x.lasting = t.Context(), t.Context(), t.Context()
	dom0 := x.qubeOf(q.name)
	conn, err := x.dial(t.Context(), dom0)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	dom0.setConn(conn)
	h := q.submit("a", "true\n")
	r, err := queue.ReadOwnRequest(h)
	if err != nil {
		t.Fatal(err)
	}
	look := int64(0)
	sees := func(n queue.Names) {
		t.Helper()
		look++
		if _, err := dom0.look(t.Context(), conn, n, look); err != nil {
			t.Fatal(err)
		}
		x.loops.Wait()
	}
	sees(queue.Names{IDs: []string{"a"}})
	c := queue.Cancel{ID: "a", Qube: q.name, Issued: r.Issued + 100, Expires: r.Expires, Request: queue.DigestOf(h)}
	for _, later := range []time.Duration{time.Hour, claim.Keep + time.Minute, claim.Keep + 4*time.Minute, claim.Keep + time.Hour, 2 * claim.Keep, 3 * claim.Keep} {
		ahead.Store(int64(later))
		x.book.Forget(x.now())
		q.change(func() { q.cancels["a"] = c.Sign(q.key.RequestKey()) })
		sees(queue.Names{Cancels: []string{"a"}})
		if n := w.count(audit.Final, "a"); n != 1 {
			t.Fatalf("%d final states after %s", n, later)
		}
	}
}
