package dbus

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"qvmremote/test/bus"
)

// TestHostileSignals: whatever anybody on the bus sends to a client and its
// mirror, they live on, hear what the service says, and hold no files open.
func TestHostileSignals(t *testing.T) {
	t.Parallel()
	b := bus.Start(t)
	f := newFake(t, b)
	f.has(running, work)
	f.own()
	c := dial(t, b)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	file := pipeEnd(t)
	stranger := b.Connect(t)
	now := running
	for name, args := range map[string][]any{
		"files in an array":             {[]godbus.UnixFD{file, file}},
		"files in a dictionary":         {map[string]godbus.UnixFD{"a": file}},
		"a file in a structure":         {struct{ A godbus.UnixFD }{file}},
		"a file in a variant":           {godbus.MakeVariant(file)},
		"files":                         {file, file, file},
		"an array that is too deep":     {deep([]string{}, 64)},
		"a dictionary that is too deep": {deep(map[string]string{}, 63), file},
		"too much":                      {make([]byte, 1<<20)},
		"far too much":                  {strings.Repeat("x", 24<<20)},
		"not what its name says":        {file, "PropertiesChanged", uint32(1)},
		"nothing":                       nil,
	} {
		now.Pid++
		f.has(now, work) // the mirror may read everything anew
		for _, from := range []*godbus.Conn{stranger, f.conn} {
			toClient(t, from, c, godbus.TypeSignal, args...)
		}
		toClient(t, stranger, c, godbus.TypeMethodCall, args...)
		// What the stranger gets answered, the client had before.
		if err := stranger.BusObject().Call(busName+".GetId", 0).Err; err != nil {
			t.Fatal(err)
		}
		f.changes(map[string]any{"Pid": now.Pid})
		await(t, m, "the next change after "+name, func(s Snapshot) bool { return s.Manager.Pid == now.Pid && available(s) })
		if err := c.Pause(context.Background()); err != nil {
			t.Errorf("after %s: %v", name, err)
		}
		if n := copies(t, file); n != 1 {
			t.Errorf("%s: %d descriptors are open, 1 is the test's own", name, n)
		}
	}
}

// toClient sends a signal, or a call that wants no answer, to c alone. Whoever
// owns the service's name sends it in the service's words.
func toClient(t *testing.T, from *godbus.Conn, c *Client, kind godbus.Type, args ...any) {
	t.Helper()
	m := &godbus.Message{Type: kind, Body: args, Headers: map[godbus.HeaderField]godbus.Variant{
		godbus.FieldDestination: godbus.MakeVariant(c.conn.Names()[0]),
		godbus.FieldPath:        godbus.MakeVariant(godbus.ObjectPath("/a")),
		godbus.FieldInterface:   godbus.MakeVariant(Properties),
		godbus.FieldMember:      godbus.MakeVariant("PropertiesChanged"),
	}}
	if len(args) > 0 {
		m.Headers[godbus.FieldSignature] = godbus.MakeVariant(godbus.SignatureOf(args...))
	}
	if kind == godbus.TypeMethodCall {
		m.Flags = godbus.FlagNoReplyExpected
	}
	if err := from.Send(m, nil).Err; err != nil {
		t.Fatal(err)
	}
}

func deep(inner any, depth int) godbus.Variant {
	v := godbus.MakeVariant(inner)
	for range depth - 1 {
		v = godbus.MakeVariant(v)
	}
	return v
}

// pipeEnd is the writing end of a pipe.
func pipeEnd(t *testing.T) godbus.UnixFD {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return godbus.UnixFD(w.Fd())
}

// copies counts our descriptors of the same end of a pipe.
func copies(t *testing.T, fd godbus.UnixFD) int {
	t.Helper()
	same := endOf(int(fd))
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range list {
		var other int
		if _, err := fmt.Sscan(e.Name(), &other); err == nil && endOf(other) == same {
			n++
		}
	}
	return n
}

// endOf tells the ends of pipes apart.
func endOf(fd int) string {
	var st unix.Stat_t
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil || unix.Fstat(fd, &st) != nil {
		return ""
	}
	return fmt.Sprint(st.Dev, st.Ino, flags&unix.O_ACCMODE)
}

// TestTheLargestSignalArrives: a thousand records, of the longest names.
func TestTheLargestSignalArrives(t *testing.T) {
	t.Parallel()
	c, f := serve(t)
	f.has(running, work)
	m := mirror(t, c)
	await(t, m, "the first state", available)
	var rows []noticeRow
	for seq := running.AuditHead; seq < running.AuditHead+1000; seq++ {
		rows = append(rows, noticeRow{seq, recordTime(seq).UnixMicro(), "stopped-everything", strings.Repeat("q", 31), seq + 1, "undeliverable"})
	}
	f.emit(ManagerPath, ManagerInterface+".RecordsAdded", rows)
	if news := awaitNews(t, m, running.AuditHead, running.AuditHead+1000); !onlyAdded(news) {
		t.Errorf("news are %v", kinds(news))
	}
}
