package service

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"qvmremote/dbus"
)

// opened opens name until the end of the test.
func opened(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flags, 0o600)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	return f
}

// pipes are the two ends of a pipe that holds one page.
func pipes(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	t.Cleanup(func() { r.Close(); w.Close() })
	_, err = unix.FcntlInt(w.Fd(), unix.F_SETPIPE_SZ, 4096)
	must(t, err)
	return r, w
}

// sockets are the two ends of a stream.
func sockets(t *testing.T) (a, b *os.File) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	a, b = os.NewFile(uintptr(fds[0]), "a"), os.NewFile(uintptr(fds[1]), "b")
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func descriptor(f *os.File) godbus.UnixFD { return godbus.UnixFD(f.Fd()) }

// strange are files that hold neither a key nor a log.
func strange(t *testing.T) map[string]*os.File {
	t.Helper()
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	must(t, err)
	ready := os.NewFile(uintptr(event), "event")
	t.Cleanup(func() { ready.Close() })
	return map[string]*os.File{
		"zeros without end": opened(t, "/dev/zero", os.O_RDWR),
		"nothing":           opened(t, "/dev/null", os.O_RDWR),
		"a terminal":        opened(t, "/dev/ptmx", os.O_RDWR),
		"a folder":          opened(t, t.TempDir(), os.O_RDONLY),
		"/proc":             opened(t, "/proc/self/environ", os.O_RDONLY),
		"/proc to write":    opened(t, "/proc/self/comm", os.O_RDWR),
		"an event":          ready,
		"a path":            opened(t, "/etc/passwd", unix.O_PATH),
	}
}

// TestKeysFromStrangeFiles end in time, by name.
func TestKeysFromStrangeFiles(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c := w.client()
	authorize := func(f *os.File) string {
		_, code := c.call("AuthorizeQube", "work", descriptor(f), none)
		return code
	}
	silent, _ := pipes(t)
	quiet, _ := sockets(t)
	endless, flood := pipes(t)
	zeros := opened(t, "/dev/zero", os.O_RDONLY)
	go func() { _, _ = io.Copy(flood, zeros) }()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	must(t, err)
	defer l.Close()
	listening, err := l.(*net.UnixListener).File()
	must(t, err)
	defer listening.Close()
	name := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(name, []byte(goodKey+"\n"), 0o600))
	odd := strange(t)
	list := []struct {
		name string
		file *os.File
		want dbus.Code
	}{
		{"a pipe without a word", silent, dbus.TimedOut},
		{"a socket without a word", quiet, dbus.TimedOut},
		{"a socket that listens", listening, dbus.InvalidArgument},
		{"a pipe without end", endless, dbus.InvalidKey},
		{"a pipe's other end", flood, dbus.InvalidArgument},
		{"a file that cannot be read", opened(t, name, os.O_WRONLY), dbus.InvalidArgument},
		{"a file of another text", opened(t, "/etc/hostname", os.O_RDONLY), dbus.InvalidKey},
		{"a file that is empty", opened(t, filepath.Join(t.TempDir(), "empty"), os.O_RDWR|os.O_CREATE), dbus.InvalidKey},
		{"a file with a key", opened(t, name, os.O_RDONLY), ""},
	}
	c.call("AuthorizeQubeWithString", "work", goodKey, none)
	c.call("RevokeQube", "work", none)
	w.until("the log is followed", func() bool { return c.property("AuditHead").(uint64) > 1 })
	check := w.noLeak()
	for name, f := range odd {
		if got := authorize(f); got != string(dbus.InvalidArgument) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for _, n := range list {
		if n.want == "" {
			if keys, _ := filepath.Glob(filepath.Join(w.root.Keys(), "*.key")); len(keys) > 0 {
				t.Errorf("keys: %v", keys)
			}
		}
		if got := authorize(n.file); got != string(n.want) {
			t.Errorf("%s: %q, not %s", n.name, got, n.want)
		}
	}
	check()
	endless.Close()
}

// TestExportsToStrangeFiles end in time, by name.
func TestExportsToStrangeFiles(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c := w.client()
	for range 20 { // more than a page of records
		c.call("AuthorizeQubeWithString", "work", goodKey, none)
		c.call("RevokeQube", "work", none)
	}
	export := func(f *os.File) (uint64, string) {
		body, code := c.call("ExportAudit", descriptor(f), "jsonl")
		if code != "" {
			return 0, code
		}
		n, _ := body[0].(uint64)
		return n, code
	}
	for name, f := range strange(t) {
		if _, got := export(f); got != string(dbus.InvalidArgument) {
			t.Errorf("%s: %q", name, got)
		}
	}
	_, unread := pipes(t)
	_, unheard := sockets(t)
	fillUp(unheard)
	gone, left := pipes(t)
	gone.Close()
	early, leaving := pipes(t)
	go func() {
		_, _ = io.ReadFull(early, make([]byte, 10))
		early.Close()
	}()
	reading, _ := pipes(t)
	for _, n := range []struct {
		name string
		file *os.File
		want dbus.Code
	}{
		{"a pipe that nobody reads", unread, dbus.TimedOut},
		{"a socket", unheard, dbus.InvalidArgument},
		{"a pipe without a reader", left, dbus.Cancelled},
		{"a pipe whose reader leaves", leaving, dbus.Cancelled},
		{"a pipe's reading end", reading, dbus.InvalidArgument},
		{"a file to be read", opened(t, "/etc/hostname", os.O_RDONLY), dbus.InvalidArgument},
	} {
		if _, got := export(n.file); got != string(n.want) {
			t.Errorf("%s: %q, not %s", n.name, got, n.want)
		}
	}
	name := filepath.Join(t.TempDir(), "log")
	n, code := export(opened(t, name, os.O_WRONLY|os.O_CREATE))
	text, err := os.ReadFile(name)
	must(t, err)
	if code != "" || n != uint64(len(text)) || bytes.Count(text, []byte("\n")) < 40 {
		t.Errorf("a file: %q, %d bytes of %d", code, n, len(text))
	}
}

// TestDescriptorsNobodyWants are closed: those of unknown methods, in variants,
// in arrays, too many of them, and in signals.
func TestDescriptorsNobodyWants(t *testing.T) {
	w := newWorld(t)
	w.manage()
	c := w.client()
	r, _ := pipes(t)
	fd := descriptor(r)
	many := make([]godbus.UnixFD, 8)
	for i := range many {
		many[i] = fd
	}
	c.call("AuthorizeQubeWithString", "work", goodKey, none)
	w.until("the log is followed", func() bool { return c.property("AuditHead").(uint64) > 0 })
	check := w.noLeak()
	for _, n := range []struct {
		method string
		args   []any
		want   dbus.Code
	}{
		{dbus.ManagerInterface + ".Destroy", []any{fd, fd}, dbus.NoSuchObject},
		{"org.qvmremote2.X.Y", []any{fd}, dbus.NoSuchObject},
		{"Start", []any{fd}, dbus.NoSuchObject},
		{dbus.ManagerInterface + ".Subscribe", []any{many}, dbus.InvalidArgument},
		{dbus.ManagerInterface + ".Subscribe", []any{fd, fd, fd}, dbus.InvalidArgument},
		{dbus.ManagerInterface + ".ExportAudit", []any{godbus.MakeVariant(fd), "jsonl"}, dbus.InvalidArgument},
		{dbus.ManagerInterface + ".ExportAudit", []any{fd, "jsonl", many}, dbus.InvalidArgument},
		{dbus.ManagerInterface + ".ExportAudit", []any{fd, strings.Repeat("x", 100)}, dbus.InvalidArgument},
		{dbus.ManagerInterface + ".RevokeQube", []any{"work", option("key", fd)}, dbus.InvalidArgument},
		{dbus.ManagerInterface + ".RevokeQube", []any{"work", option("key", many)}, dbus.InvalidArgument},
		{dbus.Properties + ".Set", []any{dbus.ManagerInterface, "State", godbus.MakeVariant(fd)}, dbus.ReadOnly},
		{dbus.Peer + ".Ping", []any{fd}, ""},
	} {
		if _, got := c.at(dbus.ManagerPath, n.method, n.args...); got != string(n.want) {
			t.Errorf("%s%v: %q, not %s", n.method, n.args, got, n.want)
		}
	}
	owner := ""
	must(t, c.conn.BusObject().Call("org.freedesktop.DBus.GetNameOwner", 0, dbus.Name).Store(&owner))
	for range 100 {
		m := &godbus.Message{Type: godbus.TypeSignal, Body: []any{fd, many}, Headers: map[godbus.HeaderField]godbus.Variant{
			godbus.FieldPath: godbus.MakeVariant(dbus.ManagerPath), godbus.FieldInterface: godbus.MakeVariant("a.b"), godbus.FieldMember: godbus.MakeVariant("C"),
			godbus.FieldDestination: godbus.MakeVariant(owner), godbus.FieldSignature: godbus.MakeVariant(godbus.SignatureOf(fd, many))}}
		if call := c.conn.Send(m, nil); call != nil && call.Err != nil {
			t.Fatal(call.Err)
		}
	}
	if s := c.property("State"); s != dbus.Stopped {
		t.Errorf("the state is %q", s)
	}
	check()
}

// copiesOf counts this process's descriptors of the same pipe, both ends.
func copiesOf(t *testing.T, f *os.File) int {
	t.Helper()
	var same unix.Stat_t
	must(t, unix.Fstat(int(f.Fd()), &same))
	list, err := os.ReadDir("/proc/self/fd")
	must(t, err)
	n := 0
	for _, e := range list {
		var st unix.Stat_t
		if unix.Stat("/proc/self/fd/"+e.Name(), &st) == nil && st.Ino == same.Ino && st.Dev == same.Dev {
			n++
		}
	}
	return n
}

// TestACallerWhoMakesItBlock cannot make the service wait longer than it would.
func TestACallerWhoMakesItBlock(t *testing.T) {
	w := newWorld(t)
	w.o.Times.Key, w.o.Times.Stall = 100*time.Millisecond, 100*time.Millisecond
	w.manage()
	c := w.client()
	for range 20 {
		c.call("AuthorizeQubeWithString", "work", goodKey, none)
		c.call("RevokeQube", "work", none)
	}
	silent, _ := pipes(t)
	_, unread := pipes(t)
	quiet, _ := sockets(t)
	_, unheard := sockets(t)
	fillUp(unheard)
	stop := make(chan struct{})
	defer close(stop)
	for _, f := range []*os.File{silent, unread, quiet, unheard} {
		fd := int(f.Fd())
		go func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = unix.SetNonblock(fd, false)
					runtime.Gosched()
				}
			}
		}()
	}
	for range 5 {
		for _, f := range []*os.File{silent, quiet} {
			if _, code := c.call("AuthorizeQube", "work", descriptor(f), none); code != string(dbus.TimedOut) && code != string(dbus.InvalidArgument) {
				t.Errorf("a key that never comes: %q", code)
			}
		}
		for _, f := range []*os.File{unread, unheard} {
			if _, code := c.call("ExportAudit", descriptor(f), "jsonl"); code != string(dbus.TimedOut) && code != string(dbus.InvalidArgument) {
				t.Errorf("an export that nobody reads: %q", code)
			}
		}
	}
}

// fillUp writes to a socket as much as there is room for.
func fillUp(f *os.File) {
	for err := error(nil); err == nil; {
		err = unix.Send(int(f.Fd()), make([]byte, 4096), unix.MSG_DONTWAIT)
	}
}
