package service

import (
	"bufio"
	"context"
	"encoding/hex"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/dbus"
	"qvmremote/dbus/gate"
	"qvmremote/test/bus"
	"qvmremote/test/bus/polkit"
)

// storm sends n calls without waiting for answers, and counts these by their
// error's code.
func (c *desktop) storm(n int, method string, args ...any) map[string]int {
	done := make(chan *godbus.Call, n)
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	defer cancel()
	o := c.conn.Object(dbus.Name, dbus.ManagerPath)
	for range n {
		o.GoWithContext(ctx, method, 0, done, args...)
	}
	got := map[string]int{}
	for range n {
		got[codeIn((<-done).Err)]++
	}
	return got
}

// tooMany are the errors of who asks too much: ours, the bus's own, which lets
// nobody wait for more than so many answers, and ours where the bus is so busy
// that it does not say who calls.
var tooMany = []string{string(dbus.LimitsExceeded), "org.freedesktop.DBus.Error.LimitsExceeded", string(dbus.Unavailable)}

func onlyLimits(t *testing.T, got map[string]int) {
	t.Helper()
	for code := range got {
		if code != "" && !slices.Contains(tooMany, code) {
			t.Errorf("%d answers were %q", got[code], code)
		}
	}
	// A bus that is too busy to say who calls lets nobody in.
	if got[""] == 0 && got[string(dbus.Unavailable)] == 0 {
		t.Errorf("none was answered: %v", got)
	}
}

// TestTenThousandCallsAtOnce: each is answered, by an error with a name where
// it is one too many, while another client is served.
func TestTenThousandCallsAtOnce(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c, other := w.client(), w.client()
	clients := make([]*desktop, 20)
	for i := range clients {
		clients[i] = w.client()
	}
	check := w.noLeak()
	served := make(chan int)
	stop := make(chan struct{})
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				served <- n
				return
			default:
			}
			if s := other.property("State"); s != dbus.Stopped {
				t.Errorf("another client's answer is %q", s)
			}
		}
	}()
	onlyLimits(t, c.storm(10000, dbus.ManagerInterface+".ListQubes"))
	var all sync.WaitGroup
	for _, c := range clients {
		all.Add(1)
		go func() {
			defer all.Done()
			onlyLimits(t, c.storm(500, dbus.Properties+".GetAll", dbus.ManagerInterface))
		}()
	}
	all.Wait()
	close(stop)
	if n := <-served; n == 0 {
		t.Error("another client was not served")
	}
	check()
}

// TestSubscribingThousandsOfTimes: once or often is the same, and the end of
// the client is the end of it.
func TestSubscribingThousandsOfTimes(t *testing.T) {
	w := newWorld(t)
	w.o.Times.Idle = 200 * time.Millisecond
	c := w.client()
	p := w.manageFor(c)
	for range 4 {
		onlyLimits(t, c.storm(500, dbus.ManagerInterface+".Subscribe"))
		onlyLimits(t, c.storm(500, dbus.ManagerInterface+".Unsubscribe"))
	}
	if _, code := c.call("Subscribe"); code != "" {
		t.Fatal(code)
	}
	select {
	case <-p.done:
		t.Fatal("the manager left somebody who is subscribed")
	case <-time.After(3 * w.o.Times.Idle): // nothing can be awaited but that nothing comes
	}
	c.conn.Close()
	p.wait() // nobody needs it
}

// TestMoreSubscribersThanMay: who is one too many is told so.
func TestMoreSubscribersThanMay(t *testing.T) {
	w := newWorld(t, bus.Options{Policy: `<limit name="max_connections_per_user">1000</limit>`})
	w.manage()
	check := w.noLeak()
	var conns []*godbus.Conn
	var code string
	for range maxSubscribers + 1 {
		conn, err := godbus.Connect(w.bus.Address)
		must(t, err)
		conns = append(conns, conn)
		code = codeIn(conn.Object(dbus.Name, dbus.ManagerPath).Call(dbus.ManagerInterface+".Subscribe", 0).Err)
		if code != "" {
			break
		}
	}
	if code != string(dbus.LimitsExceeded) || len(conns) != maxSubscribers+1 {
		t.Errorf("subscriber %d: %q", len(conns), code)
	}
	for _, conn := range conns {
		conn.Close()
	}
	check()
	if _, code := w.client().call("Subscribe"); code != "" {
		t.Errorf("after they left: %q", code)
	}
}

// TestACallerWhoDies is forgotten with all that it asked for: a key that never
// comes, an export that nobody reads, and a question to a polkit that hangs.
func TestACallerWhoDies(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("another user on the bus needs root")
	}
	w := newWorld(t)
	w.o.Times.Key, w.o.Times.Stall, w.o.Times.Call = time.Hour, time.Hour, time.Hour
	p := polkit.Start(t, w.bus)
	w.manage()
	c := w.client()
	for range 20 {
		c.call("AuthorizeQubeWithString", "work", goodKey, none)
		c.call("RevokeQube", "work", none)
	}
	w.until("the log is followed", func() bool { return c.property("AuditHead").(uint64) >= 40 })
	silent, _ := pipes(t)
	_, unread := pipes(t)
	p.SetAnswer(polkit.Hang)
	check := w.noLeak()
	for name, n := range map[string]struct {
		uid    int
		method string
		args   []any
	}{
		"a key that never comes":      {0, "AuthorizeQube", []any{"work", descriptor(silent), none}},
		"an export that nobody reads": {0, "ExportAudit", []any{descriptor(unread), "jsonl"}},
		"a polkit that hangs":         {65534, "FetchKey", []any{"work"}},
	} {
		conn := w.bus.ConnectAs(t, n.uid)
		for range 3 {
			m := call(n.method, n.args...)
			conn.Send(m, make(chan *godbus.Call, 1))
		}
		if n.uid != 0 {
			p.Await(t, 3, 0)
		}
		must(t, conn.BusObject().Call("org.freedesktop.DBus.GetId", 0).Err) // the calls are out
		conn.Close()
		if n.uid != 0 {
			p.Await(t, 3, 3)
			for _, q := range p.Calls() {
				if q.Action != gate.View {
					t.Errorf("%s: asked for %s", name, q.Action)
				}
			}
		}
	}
	check()
}

// call is a method call as bytes go out, without anybody who waits for it.
func call(method string, args ...any) *godbus.Message {
	m := &godbus.Message{Type: godbus.TypeMethodCall, Body: args, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldDestination: godbus.MakeVariant(dbus.Name), godbus.FieldPath: godbus.MakeVariant(dbus.ManagerPath),
		godbus.FieldInterface: godbus.MakeVariant(dbus.ManagerInterface), godbus.FieldMember: godbus.MakeVariant(method)}}
	if len(args) > 0 {
		m.Headers[godbus.FieldSignature] = godbus.MakeVariant(godbus.SignatureOf(args...))
	}
	return m
}

// TestFlags: a call without an answer is done, and gets none.
func TestFlags(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c := w.client()
	seen := make(chan *godbus.Message, 100)
	c.conn.Eavesdrop(seen)
	for _, m := range []*godbus.Message{call("AuthorizeQubeWithString", "work", goodKey, none), call("Destroy"), call("RevokeQube", uint32(0))} {
		m.Flags = godbus.FlagNoReplyExpected | godbus.FlagAllowInteractiveAuthorization | godbus.FlagNoAutoStart
		c.conn.Send(m, nil)
	}
	other := w.client()
	w.until("the qube is authorised", func() bool {
		list, _ := other.call("ListQubes")
		return len(list) == 1 && len(list[0].([]godbus.ObjectPath)) == 1
	})
	c.conn.Send(call("ListQubes"), make(chan *godbus.Call, 1)) // its answer comes behind
	for {
		select {
		case m := <-seen:
			if m.Type == godbus.TypeError {
				t.Errorf("an answer that nobody wanted: %v", m)
			}
			if m.Type == godbus.TypeMethodReply {
				return
			}
		case <-time.After(patience):
			t.Fatal("no answer to the last call")
		}
	}
}

// deaf is a client that subscribes to everything and never reads.
func deaf(t *testing.T, b *bus.Bus) *net.UnixConn {
	t.Helper()
	path, _, _ := strings.Cut(strings.TrimPrefix(b.Address, "unix:path="), ",")
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	_, err = conn.Write([]byte("\x00AUTH EXTERNAL " + hex.EncodeToString([]byte(strconv.Itoa(os.Geteuid()))) + "\r\nBEGIN\r\n"))
	must(t, err)
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.HasPrefix(line, "OK") {
		t.Fatalf("the bus says %q, %v", line, err)
	}
	match := &godbus.Message{Type: godbus.TypeMethodCall, Body: []any{"type='signal',sender='" + dbus.Name + "'"}, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldDestination: godbus.MakeVariant("org.freedesktop.DBus"), godbus.FieldPath: godbus.MakeVariant(godbus.ObjectPath("/org/freedesktop/DBus")),
		godbus.FieldInterface: godbus.MakeVariant("org.freedesktop.DBus"), godbus.FieldMember: godbus.MakeVariant("AddMatch"),
		godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf(""))}}
	hello := &godbus.Message{Type: godbus.TypeMethodCall, Headers: map[godbus.HeaderField]godbus.Variant{}}
	for k, v := range match.Headers {
		if k != godbus.FieldSignature {
			hello.Headers[k] = v
		}
	}
	hello.Headers[godbus.FieldMember] = godbus.MakeVariant("Hello")
	list := []*godbus.Message{hello, match, call("Subscribe")}
	for range 500 {
		list = append(list, call("Doctor"))
	}
	_ = conn.SetWriteDeadline(time.Now().Add(patience))
	for i, m := range list {
		must(t, encode(conn, m, uint32(i+1)))
	}
	return conn
}

// TestAClientThatNeverReads holds up neither others nor the end.
func TestAClientThatNeverReads(t *testing.T) {
	w := newWorld(t)
	p := w.manage()
	for range 3 {
		deaf(t, w.bus)
	}
	c := w.client()
	for range 200 {
		if s := c.property("State"); s != dbus.Stopped {
			t.Fatalf("the answer is %q", s)
		}
	}
	p.stop()
	if p.err != nil {
		t.Error(p.err)
	}
}

// TestABusThatHangs does not keep an executor from ending.
func TestABusThatHangs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.o.Times.Bus, w.o.Times.Handover = 500*time.Millisecond, 500*time.Millisecond
	p := w.execute()
	must(t, w.bus.Signal(syscall.SIGSTOP))
	p.stop()
	must(t, w.bus.Signal(syscall.SIGCONT))
}
