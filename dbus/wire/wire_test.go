package wire

import (
	"context"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"qvmremote/test/bus"
)

// heard is what reached a listener of one message.
type heard struct {
	member  string
	refused string
	body    []any
}

// listen is a connection that writes down the calls that reach it, and keeps
// their descriptors open.
func listen(t *testing.T, b *bus.Bus) (*godbus.Conn, chan heard) {
	t.Helper()
	calls := make(chan heard, 100)
	conn, err := Dial(context.Background(), b.Address, Options{Incoming: func(m *godbus.Message) bool {
		return m.Type == godbus.TypeMethodCall
	}}, godbus.WithHandler(answers(calls)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, calls
}

// answers is a handler whose every method exists and answers nothing.
type answers chan heard

func (a answers) LookupObject(godbus.ObjectPath) (godbus.ServerObject, bool) { return a, true }
func (a answers) LookupInterface(string) (godbus.Interface, bool)            { return a, true }
func (a answers) LookupMethod(string) (godbus.Method, bool)                  { return a, true }
func (answers) NumArguments() int                                            { return 0 }
func (answers) NumReturns() int                                              { return 0 }
func (answers) ArgumentValue(int) any                                        { return nil }
func (answers) ReturnValue(int) any                                          { return nil }
func (answers) Call(...any) ([]any, error)                                   { return nil, nil }
func (a answers) DecodeArguments(_ *godbus.Conn, _ string, m *godbus.Message, body []any) ([]any, error) {
	member, _ := m.Headers[godbus.FieldMember].Value().(string)
	a <- heard{member, Refused(m), body}
	return nil, nil
}

func next(t *testing.T, calls chan heard) heard {
	t.Helper()
	select {
	case h := <-calls:
		return h
	case <-time.After(time.Minute):
		t.Fatal("no call came")
		return heard{}
	}
}

func call(t *testing.T, from, to *godbus.Conn, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := from.Object(to.Names()[0], "/a").CallWithContext(ctx, "a.b.C", 0, args...).Err; err != nil {
		t.Fatalf("no answer: %v", err)
	}
}

func nested(inner any, depth int) godbus.Variant {
	v := godbus.MakeVariant(inner)
	for range depth - 1 {
		v = godbus.MakeVariant(v)
	}
	return v
}

// TestNothingEndsTheConnection: what makes godbus panic or give up on its own
// is refused, and the next call is answered.
func TestNothingEndsTheConnection(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	to, calls := listen(t, b)
	from := b.Connect(t)
	file := godbus.UnixFD(pipe(t))
	for _, c := range []struct {
		name    string
		args    []any
		refused string // part of the reason; "" when it gets through
	}{
		{"nothing", nil, ""},
		{"an array of descriptors", []any{[]godbus.UnixFD{file}}, ""},
		{"a dictionary of descriptors", []any{map[string]godbus.UnixFD{"a": file}}, ""},
		{"a descriptor in a variant", []any{godbus.MakeVariant(file)}, ""},
		{"an empty array at the greatest depth", []any{nested([]string{}, 64)}, "cannot be read"},
		{"an empty dictionary at the greatest depth", []any{nested(map[string]string{}, 63)}, "cannot be read"},
		{"too much", []any{make([]byte, MaxMessage)}, "are the most"},
		{"far too much", []any{strings.Repeat("x", 24<<20)}, "are the most"},
		{"much", []any{strings.Repeat("x", MaxMessage-1000)}, ""},
	} {
		call(t, from, to, c.args...)
		h := next(t, calls)
		if h.member != "C" || (h.refused == "") != (c.refused == "") || !strings.Contains(h.refused, c.refused) {
			t.Errorf("%s: reached the method as %q, refused %q", c.name, h.member, h.refused)
		}
		if h.refused != "" && len(h.body) > 0 {
			t.Errorf("%s: refused, and came with arguments", c.name)
		}
	}
}

// TestStrangeMessages are those that godbus does not send.
func TestStrangeMessages(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	to, calls := listen(t, b)
	from := rawConnect(t, b)
	for name, m := range map[string]rawMessage{
		"a dictionary with signatures as keys": {signature: "a{gs}", body: append([]byte{9}, make([]byte, 16)...)},
		"signatures as keys, big end first":    {signature: "a{gs}", body: append([]byte{0, 0, 0, 9}, make([]byte, 13)...), order: binary.BigEndian},
		"a flag nobody knows":                  {flags: 0x40},
		"a path that is long":                  {path: godbus.ObjectPath("/" + strings.Repeat("a", MaxMessage-1000)), flags: 0x40},
		"a signature as deep as D-Bus allows":  {signature: "g", body: signatureValue(strings.Repeat("a", 32) + "y")},
	} {
		m.to = to.Names()[0]
		from.send(t, m)
		h := next(t, calls)
		if h.member != "C" {
			t.Errorf("%s: reached the method as %+v", name, h)
		}
		if name != "a signature as deep as D-Bus allows" && h.refused == "" {
			t.Errorf("%s got through", name)
		}
	}
	// Of these nothing is left that could reach anybody.
	for _, m := range []rawMessage{
		{path: godbus.ObjectPath("/" + strings.Repeat("a", 2<<20))},
		{signal: true, signature: "a{gs}", body: append([]byte{9}, make([]byte, 16)...)},
		{signal: true, signature: "ay", body: append([]byte{0, 0, 16, 0}, make([]byte, 1<<20)...)},
		{signal: true, flags: 0x40},
	} {
		m.to = to.Names()[0]
		from.send(t, m)
	}
	from.send(t, rawMessage{to: to.Names()[0], member: "End", iface: "a.b"})
	if h := next(t, calls); h.member != "End" {
		t.Errorf("reached a method: %+v", h)
	}
}

// TestEveryDescriptorIsClosed counts what stays open after messages with
// descriptors where no method takes any, and where one does.
func TestEveryDescriptorIsClosed(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	to, calls := listen(t, b)
	from := b.Connect(t)
	raw := rawConnect(t, b)
	// What the test itself opens is not counted: the pipe's other end shows who
	// still holds one.
	file := godbus.UnixFD(pipe(t))
	held := func(do func()) int {
		t.Helper()
		before := copies(t, int(file))
		do()
		return copies(t, int(file)) - before
	}
	for name, send := range map[string]func() []any{
		"array":   func() []any { call(t, from, to, []godbus.UnixFD{file, file}); return nil },
		"variant": func() []any { call(t, from, to, nested(file, 3)); return nil },
		"struct":  func() []any { call(t, from, to, struct{ A godbus.UnixFD }{file}); return nil },
		"refused": func() []any { call(t, from, to, file, nested([]string{}, 64)); return nil },
		"too large": func() []any {
			raw.send(t, rawMessage{to: to.Names()[0], signature: "ay", body: append([]byte{0, 0, 16, 0}, make([]byte, 1<<20)...), files: []int{int(file)}})
			return nil
		},
		"in no argument": func() []any {
			raw.send(t, rawMessage{to: to.Names()[0], files: []int{int(file), int(file)}})
			return nil
		},
		"twice the same": func() []any {
			raw.send(t, rawMessage{to: to.Names()[0], signature: "hh", body: make([]byte, 8), files: []int{int(file)}})
			return nil
		},
		"a number too big": func() []any {
			raw.send(t, rawMessage{to: to.Names()[0], signature: "h", body: []byte{9, 0, 0, 0}, files: []int{int(file)}})
			return nil
		},
	} {
		n := held(func() {
			send()
			for _, v := range next(t, calls).body {
				if fd, ok := v.(godbus.UnixFD); ok && fd >= 0 {
					unix.Close(int(fd))
				}
			}
		})
		if n != 0 {
			t.Errorf("%s: %d descriptors more than before", name, n)
		}
	}
	if n := held(func() {
		if err := from.Emit("/a", "a.b.S", file); err != nil {
			t.Fatal(err)
		}
		raw.send(t, rawMessage{to: to.Names()[0], signal: true, signature: "ah", body: []byte{4, 0, 0, 0, 0, 0, 0, 0}, files: []int{int(file)}})
		raw.send(t, rawMessage{to: to.Names()[0], path: godbus.ObjectPath("/" + strings.Repeat("a", MaxMessage)), files: []int{int(file), int(file)}})
		raw.send(t, rawMessage{to: to.Names()[0]}) // behind the others
		next(t, calls)
	}); n != 0 {
		t.Errorf("signals: %d descriptors more than before", n)
	}
}

// pipe makes a pipe and returns its writing end.
func pipe(t *testing.T) int {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return int(w.Fd())
}

// copies counts our descriptors of the same pipe.
func copies(t *testing.T, fd int) int {
	t.Helper()
	var same unix.Stat_t
	if err := unix.Fstat(fd, &same); err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		var st unix.Stat_t
		if unix.Stat("/proc/self/fd/"+e.Name(), &st) == nil && st.Ino == same.Ino && st.Dev == same.Dev {
			n++
		}
	}
	return n
}
