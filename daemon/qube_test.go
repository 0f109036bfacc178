package daemon

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"qvmremote/queue"
)

var lastQube atomic.Int64

// testQube is a qube whose agent does what a test says. Its files are maps.
type testQube struct {
	t    *testing.T
	name string
	key  queue.Key
	l    net.Listener

	mu       sync.Mutex
	changed  chan struct{} // closed on every change of what follows
	number   int64
	headers  map[string][]byte
	bodies   map[string][]byte
	stdins   map[string][]byte
	cancels  map[string][]byte
	running  map[string]queue.Word
	out      map[string][]byte
	finishes map[string][]queue.Finish
	denies   map[string][]queue.Deny
	asked    map[queue.FrameType]int
	parts    []queue.Fetch
	refuse   func(queue.Message) *queue.Failure // what the agent says it cannot do
	stubborn bool                               // removes nothing from pending or cancel
	trickle  bool                               // gives scripts byte by byte
	fresh    func() []string                    // further names, other ones in each answer
	conns    []net.Conn
	mute     int    // so many connections end before the magic line
	linger   func() // runs once a word is shown, before dom0 is told that it is
	overdue  int    // questions for names that were not answered before their whole minute was over
}

func newTestQube(t *testing.T) *testQube {
	t.Helper()
	q := &testQube{t: t, name: fmt.Sprintf("q%d", lastQube.Add(1)), key: queue.GenerateKey(), changed: make(chan struct{}), number: 1,
		headers: map[string][]byte{}, bodies: map[string][]byte{}, stdins: map[string][]byte{}, cancels: map[string][]byte{},
		running: map[string]queue.Word{}, out: map[string][]byte{}, finishes: map[string][]queue.Finish{}, denies: map[string][]queue.Deny{},
		asked: map[queue.FrameType]int{}}
	var err error
	if q.l, err = net.Listen("unix", filepath.Join(os.Getenv(socketsEnv), q.name)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.halt)
	go func() {
		for {
			conn, err := q.l.Accept()
			if err != nil {
				return
			}
			q.change(func() { q.conns = append(q.conns, conn) })
			go q.agent(conn)
		}
	}()
	return q
}

// halt ends the qube: it is no longer listed, and its connections break.
func (q *testQube) halt() {
	_ = q.l.Close()
	q.hangUp()
}

func (q *testQube) hangUp() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range q.conns {
		_ = c.Close()
	}
	q.conns = nil
}

// change makes a change and tells those that wait for one.
func (q *testQube) change(fn func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	fn()
	close(q.changed)
	q.changed = make(chan struct{})
}

// until waits for a condition on what the qube has.
func (q *testQube) until(what string, ok func() bool) {
	q.t.Helper()
	deadline := time.NewTimer(time.Minute)
	defer deadline.Stop()
	for {
		q.mu.Lock()
		done, changed := ok(), q.changed
		q.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline.C:
			q.t.Fatalf("it never came to this: %s", what)
		}
	}
}

// header is a good request for a script, as edit changes it.
func (q *testQube) header(id, script string, edit func(*queue.Request)) []byte {
	now := time.Now().Unix()
	r := queue.Request{Kind: queue.KindScript, ID: id, Qube: q.name, Issued: now, Expires: now + 300, Timeout: 30, Body: queue.SumOf([]byte(script))}
	if edit != nil {
		edit(&r)
	}
	return r.Sign(q.key.RequestKey())
}

func (q *testQube) submit(id, script string) []byte {
	h := q.header(id, script, nil)
	q.put(id, h, script)
	return h
}

// put places a request, good or bad.
func (q *testQube) put(id string, header []byte, script string) {
	q.change(func() { q.headers[id], q.bodies[id] = header, []byte(script); q.number++ })
}

func (q *testQube) cancel(id string, header []byte, key queue.Key) {
	r, err := queue.ReadOwnRequest(header)
	if err != nil {
		q.t.Fatal(err)
	}
	c := queue.Cancel{ID: id, Qube: q.name, Issued: r.Issued, Expires: r.Expires, Request: queue.DigestOf(header)}
	q.change(func() { q.cancels[id] = c.Sign(key.RequestKey()); q.number++ })
}

// result waits for the answer to id and opens it as a client would.
func (q *testQube) result(id string, header []byte) queue.Result {
	q.t.Helper()
	q.until("an answer to "+id, func() bool { return len(q.finishes[id]) > 0 })
	q.mu.Lock()
	auth := q.finishes[id][0].Auth
	q.mu.Unlock()
	return q.open(id, header, auth)
}

// denial waits for a refusal of id that claimed nothing.
func (q *testQube) denial(id string, header []byte) queue.Result {
	q.t.Helper()
	q.until("a refusal of "+id, func() bool { return len(q.denies[id]) > 0 })
	q.mu.Lock()
	auth := q.denies[id][0].Auth
	q.mu.Unlock()
	return q.open(id, header, auth)
}

func (q *testQube) open(id string, header, auth []byte) queue.Result {
	q.t.Helper()
	r, err := queue.OpenResult(auth, q.key.ResultKey())
	if err != nil {
		q.t.Fatalf("the answer to %s: %v", id, err)
	}
	if r.ID != id || r.Request != queue.DigestOf(header) {
		q.t.Fatalf("%s was answered for %s, request %s", id, r.ID, r.Request)
	}
	return r
}

// agent answers dom0 over one connection.
func (q *testQube) agent(conn net.Conn) {
	defer conn.Close()
	mute := false
	q.change(func() {
		if mute = q.mute > 0; mute {
			q.mute--
		}
	})
	if mute {
		return
	}
	in := bufio.NewReader(conn)
	var writes sync.Mutex
	if _, err := conn.Write([]byte("login noise\n" + queue.Magic)); err != nil {
		return
	}
	for {
		f, err := queue.ReadFrame(in)
		if err != nil {
			return
		}
		answer := func(m queue.Message) {
			a := queue.Frame{Type: f.Type | queue.AnswerBit, Tag: f.Tag, Payload: queue.Marshal(m)}
			if _, failed := m.(*queue.Failure); failed {
				a.Type = queue.FrameError
			}
			writes.Lock()
			defer writes.Unlock()
			_ = queue.WriteFrame(conn, a)
		}
		q.change(func() { q.asked[f.Type]++ })
		if f.Type == queue.FrameWait {
			var w queue.Wait
			_ = queue.Unmarshal(f.Payload, &w)
			go func() { answer(q.names(w)) }()
			continue
		}
		if f.Type == queue.FrameState && q.linger != nil {
			go func() {
				shown := q.do(f)
				q.linger()
				answer(shown)
			}()
			continue
		}
		answer(q.do(f))
	}
}

func (q *testQube) names(w queue.Wait) *queue.Names {
	deadline := time.NewTimer(time.Duration(w.MaxMS) * time.Millisecond)
	defer deadline.Stop()
	for over := w.MaxMS == 0; ; {
		q.mu.Lock()
		n := &queue.Names{Number: q.number}
		for id := range q.headers {
			n.IDs = append(n.IDs, id)
		}
		for id := range q.cancels {
			n.Cancels = append(n.Cancels, id)
		}
		if q.fresh != nil {
			q.number++
			n.Number = q.number
			n.IDs = append(n.IDs, q.fresh()...)
		}
		changed := q.changed
		q.mu.Unlock()
		slices.Sort(n.IDs)
		if over || n.Number != w.Seen {
			return n
		}
		select {
		case <-changed:
		case <-deadline.C:
			over = true
			if w.MaxMS == queue.MaxWait.Milliseconds() {
				q.change(func() { q.overdue++ })
			}
		}
	}
}
