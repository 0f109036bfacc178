package wire

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"

	"qvmremote/test/bus"
)

// reader is a service that reads the files it is sent to their ends.
type reader struct{}

func (reader) Take(_ string, first, second godbus.UnixFD) (string, string, *godbus.Error) {
	var texts [2]string
	for i, fd := range []godbus.UnixFD{first, second} {
		file := os.NewFile(uintptr(fd), "sent")
		text, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			return "", "", godbus.MakeFailedError(err)
		}
		texts[i] = string(text)
	}
	return texts[0], texts[1], nil
}

func (reader) Much(n uint32) (string, *godbus.Error) { return strings.Repeat("x", int(n)), nil }

// Odd answers what godbus itself cannot read.
func (reader) Odd() (godbus.Variant, *godbus.Error) { return nested([]string{}, 64), nil }

func (reader) Fail(n uint32) *godbus.Error {
	return godbus.NewError("a.b.Failed", []any{strings.Repeat("x", int(n))})
}

// asker is a connection that offers nothing, and the object it asks.
func asker(t *testing.T, o Options) (*godbus.Conn, godbus.BusObject) {
	t.Helper()
	b := bus.Start(t)
	there := b.Connect(t)
	if err := there.Export(reader{}, "/a", "a.b"); err != nil {
		t.Fatal(err)
	}
	conn, err := Dial(context.Background(), b.Address, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, conn.Object(there.Names()[0], "/a")
}

// holds is a pipe's reading end, with that text and nothing after it.
func holds(t *testing.T, text string) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	t.Cleanup(func() { r.Close() })
	if _, err := w.WriteString(text); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestFilesGoWithTheirMessages: each call has its own files, in their order,
// however many are sent at once, and long ones too.
func TestFilesGoWithTheirMessages(t *testing.T) {
	t.Parallel()
	_, to := asker(t, Options{SendsFiles: true})
	results := make(chan error)
	texts := []string{"a", "b", "c", "d", "e", "f"}
	for i, text := range texts {
		one, two := holds(t, text+"1"), holds(t, text+"2")
		go func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			var first, second string
			call := to.CallWithContext(ctx, "a.b.Take", 0, strings.Repeat("x", i*100_000), godbus.UnixFD(one.Fd()), godbus.UnixFD(two.Fd()))
			err := call.Store(&first, &second)
			if err == nil && (first != text+"1" || second != text+"2") {
				t.Errorf("with %q were sent %q and %q", text, first, second)
			}
			results <- err
		}()
	}
	for range texts {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
}

// TestFilesOfNoMessage: a message that is not sent leaves its files to nobody.
func TestFilesOfNoMessage(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]any{
		"text that cannot be sent": {"\xff", godbus.UnixFD(1), godbus.UnixFD(2)},
		"a file that has no place": {"x", godbus.UnixFD(1), []godbus.UnixFD{2}},
	} {
		s := &socket{Options: Options{SendsFiles: true}}
		m := &godbus.Message{Type: godbus.TypeMethodCall, Body: args, Headers: map[godbus.HeaderField]godbus.Variant{
			godbus.FieldPath: godbus.MakeVariant(godbus.ObjectPath("/a")), godbus.FieldMember: godbus.MakeVariant("C"),
			godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf(args...))}}
		s.attach(m)
		s.rights.Range(func(any, any) bool {
			t.Errorf("%s: its files wait for the next message of its number", name)
			return false
		})
		if args[1] != godbus.UnixFD(1) {
			t.Errorf("%s: the caller's own arguments changed", name)
		}
	}
	_, to := asker(t, Options{})
	file := holds(t, "")
	if err := to.Call("a.b.Take", 0, "", godbus.UnixFD(file.Fd()), godbus.UnixFD(file.Fd())).Err; err == nil {
		t.Error("who may not send files sent some")
	}
}

// TestWhoSendsFilesKeepsNone that others send.
func TestWhoSendsFilesKeepsNone(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	conn, err := Dial(context.Background(), b.Address, Options{SendsFiles: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	file := pipe(t)
	before := copies(t, file)
	raw := rawConnect(t, b)
	for _, signal := range []bool{true, false} {
		for _, files := range [][]int{{file}, {file, file, file}} {
			raw.send(t, rawMessage{to: conn.Names()[0], signal: signal, signature: "ah", body: []byte{4, 0, 0, 0, 0, 0, 0, 0}, files: files})
			raw.send(t, rawMessage{to: conn.Names()[0], signal: signal, signature: "h", body: []byte{0, 0, 0, 0}, files: files})
			raw.send(t, rawMessage{to: conn.Names()[0], signal: signal, files: files})
		}
	}
	signals := make(chan *godbus.Signal, 100)
	conn.Signal(signals)
	raw.send(t, rawMessage{to: conn.Names()[0], signal: true, iface: "a.b", member: "End"}) // behind them
	for s := range signals {
		if s.Name == "a.b.End" {
			break
		}
	}
	if n := copies(t, file) - before; n != 0 {
		t.Errorf("%d descriptors more than before", n)
	}
}

// TestAnswersHaveTheirOwnBound: nobody waits for an answer that is too large or
// cannot be read.
func TestAnswersHaveTheirOwnBound(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	for _, o := range []Options{{}, {MaxAnswer: 1 << 20}} {
		_, to := asker(t, o)
		for _, size := range []int{10, MaxMessage - 100, MaxMessage + 1, 1<<20 - 100, 1<<20 + 1} {
			fits := size < max(MaxMessage, o.MaxAnswer)
			var got string
			call := to.CallWithContext(ctx, "a.b.Much", 0, uint32(size))
			if call.Err != nil {
				t.Fatalf("an answer of %d bytes, %+v: %v", size, o, call.Err)
			}
			if err := call.Store(&got); (err == nil) != fits || fits && len(got) != size {
				t.Errorf("an answer of %d bytes, %+v: %d came, %v", size, o, len(got), err)
			}
		}
		if call := to.CallWithContext(ctx, "a.b.Odd", 0); call.Err != nil || len(call.Body) > 0 {
			t.Errorf("what cannot be read: %v, %v", call.Body, call.Err)
		}
		var failed godbus.Error
		err := to.CallWithContext(ctx, "a.b.Fail", 0, uint32(2<<20)).Err
		if !errors.As(err, &failed) || failed.Name != "a.b.Failed" || len(failed.Body) > 0 {
			t.Errorf("an error of 2 MiB: %.100v", err)
		}
	}
}
