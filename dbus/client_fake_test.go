package dbus

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/introspect"

	"qvmremote/test/bus"
)

// serviceVariable tells this program that a bus started it, as the service.
const serviceVariable = "QVM_REMOTE_TEST_SERVICE"

func TestMain(m *testing.M) {
	if os.Getenv(serviceVariable) == "" {
		os.Exit(m.Run())
	}
	f := &fake{t: program{}, answers: map[string]func(asked) ([]any, error){}}
	conn, err := godbus.Connect(os.Getenv("DBUS_STARTER_ADDRESS"), godbus.WithHandler(fakeHandler{f}))
	if err != nil {
		f.t.Fatalf("connect: %v", err)
	}
	f.conn = conn
	f.has(Manager{State: Stopped}, personal)
	f.own()
	<-conn.Context().Done()
}

// program stands for the test where there is none.
type program struct{ testing.TB }

func (program) Helper() {}
func (program) Errorf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}
func (p program) Fatalf(format string, args ...any) {
	p.Errorf(format, args...)
	os.Exit(1)
}

// asked is one call that a fake service got.
type asked struct {
	Path   godbus.ObjectPath
	Method string // without its interface
	Args   []any
	Flags  godbus.Flags
}

// fake is a service whose answers a test decides. It holds callers to the
// interface's XML: a method that is not there, or arguments of other types,
// fail the test.
type fake struct {
	t    testing.TB
	conn *godbus.Conn

	mu      sync.Mutex
	answers map[string]func(asked) ([]any, error)
	calls   []asked
}

// newFake is a fake on the bus that owns no name yet.
func newFake(t testing.TB, b *bus.Bus) *fake {
	t.Helper()
	f := &fake{t: t, answers: map[string]func(asked) ([]any, error){}}
	f.conn = b.Connect(t, godbus.WithHandler(fakeHandler{f}))
	return f
}

// own takes the service's name, from another fake where one has it.
func (f *fake) own() {
	f.t.Helper()
	flags := godbus.NameFlagAllowReplacement | godbus.NameFlagReplaceExisting | godbus.NameFlagDoNotQueue
	if reply, err := f.conn.RequestName(Name, flags); err != nil || reply != godbus.RequestNameReplyPrimaryOwner {
		f.t.Fatalf("own %s: %v, %v", Name, reply, err)
	}
}

func (f *fake) release() {
	f.t.Helper()
	if reply, err := f.conn.ReleaseName(Name); err != nil || reply != godbus.ReleaseNameReplyReleased {
		f.t.Fatalf("release %s: %v, %v", Name, reply, err)
	}
}

// on sets how the calls of a method are answered from now on.
func (f *fake) on(method string, answer func(asked) ([]any, error)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[method] = answer
}

func (f *fake) reply(method string, values ...any) {
	f.on(method, func(asked) ([]any, error) { return values, nil })
}

func (f *fake) fail(method, name, text string) {
	f.on(method, func(asked) ([]any, error) { return nil, godbus.NewError(name, []any{text}) })
}

// got are the calls of a method so far.
func (f *fake) got(method string) []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []asked
	for _, c := range f.calls {
		if c.Method == method {
			all = append(all, c)
		}
	}
	return all
}

func (f *fake) emit(path godbus.ObjectPath, name string, values ...any) {
	f.t.Helper()
	if err := f.conn.Emit(path, name, values...); err != nil {
		f.t.Errorf("emit %s: %v", name, err)
	}
}

func (f *fake) answer(iface string, c asked) ([]any, error) {
	f.mu.Lock()
	f.calls = append(f.calls, c)
	answer := f.answers[c.Method]
	f.mu.Unlock()
	in, out, known := signatures(iface, c.Method)
	if got := godbus.SignatureOf(c.Args...).String(); known && got != in {
		f.t.Errorf("%s was called with (%s), its XML says (%s)", c.Method, got, in)
	}
	if !known && iface != Properties && iface != ObjectManager {
		f.t.Errorf("%s.%s was called and is in no XML", iface, c.Method)
	}
	if answer == nil {
		if out == "" {
			return nil, nil
		}
		return nil, godbus.NewError(Failed.Name(), []any{"the fake knows no answer to " + c.Method})
	}
	values, err := answer(c)
	if got := godbus.SignatureOf(values...).String(); known && err == nil && got != out {
		f.t.Errorf("the fake answers %s with (%s), its XML says (%s)", c.Method, got, out)
	}
	return values, err
}

// signatures are those of a method's arguments, as its XML says.
func signatures(iface, method string) (in, out string, ok bool) {
	for _, m := range methodsOf(iface) {
		if m.Name != method {
			continue
		}
		for _, a := range m.Args {
			if a.Direction == "out" {
				out += a.Type
			} else {
				in += a.Type
			}
		}
		return in, out, true
	}
	return "", "", false
}

func methodsOf(iface string) []introspect.Method {
	all, err := Interfaces()
	if err != nil {
		panic(err)
	}
	for _, i := range all {
		if i.Name == iface {
			return i.Methods
		}
	}
	return nil
}

// What godbus wants of a handler: it takes everything, whatever its types.
type (
	fakeHandler struct{ *fake }
	fakeObject  struct {
		*fake
		path godbus.ObjectPath
	}
	fakeInterface struct {
		fakeObject
		name string
	}
	fakeMethod struct {
		fakeInterface
		method string
	}
)

func (h fakeHandler) LookupObject(p godbus.ObjectPath) (godbus.ServerObject, bool) {
	return fakeObject{h.fake, p}, true
}

func (o fakeObject) LookupInterface(name string) (godbus.Interface, bool) {
	return fakeInterface{o, name}, true
}

func (i fakeInterface) LookupMethod(name string) (godbus.Method, bool) {
	return fakeMethod{i, name}, true
}

func (m fakeMethod) DecodeArguments(_ *godbus.Conn, _ string, msg *godbus.Message, args []any) ([]any, error) {
	return []any{asked{m.path, m.method, args, msg.Flags}}, nil
}

func (m fakeMethod) Call(args ...any) ([]any, error) { return m.answer(m.name, args[0].(asked)) }
func (fakeMethod) NumArguments() int                 { return 0 }
func (fakeMethod) NumReturns() int                   { return 0 }
func (fakeMethod) ArgumentValue(int) any             { return nil }
func (fakeMethod) ReturnValue(int) any               { return nil }

// dial connects a client and closes it at the end.
func dial(t testing.TB, b *bus.Bus) *Client {
	t.Helper()
	c, err := Dial(context.Background(), b.Address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// serve is a client, and a fake that owns the service's name.
func serve(t testing.TB) (*Client, *fake) {
	t.Helper()
	b := bus.Start(t)
	f := newFake(t, b)
	f.own()
	return dial(t, b), f
}

// forComing is how long a test waits for what has to come: longer than a busy
// machine takes for ten thousand signals, for nothing is measured by it.
const forComing = 3 * time.Minute

// eventually waits until what is asked for holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for late := time.Now().Add(forComing); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("it never came to pass: %s", what)
		}
	}
}

// line is an audit record as the service sends it.
func line(seq uint64) string {
	return fmt.Sprintf(`{"seq":%d,"time":"%s","event":"final","qube":"work","number":%d,"state":"exit"}`,
		seq, recordTime(seq).Format(time.RFC3339Nano), seq+1)
}

func recordTime(seq uint64) time.Time {
	return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Add(time.Duration(seq) * time.Millisecond)
}

// lines are the records from ≤ seq < to, each with a line feed.
func lines(from, to uint64) string {
	var b strings.Builder
	for seq := from; seq < to; seq++ {
		b.WriteString(line(seq) + "\n")
	}
	return b.String()
}
