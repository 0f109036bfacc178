package bus

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// connectLimit bounds a connection's first words with the bus.
const connectLimit = 10 * time.Second

// Connect opens a connection that no other test shares and that is closed at
// the end of the test. Its signals arrive in order.
func (b *Bus) Connect(t testing.TB, options ...dbus.ConnOption) *dbus.Conn {
	t.Helper()
	conn, err := b.Dial(options...)
	if err != nil {
		t.Fatalf("connect to the bus: %v", err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// Dial is [Bus.Connect] for a program that is no test, which closes it itself.
func (b *Bus) Dial(options ...dbus.ConnOption) (*dbus.Conn, error) {
	conn, err := b.dial(options)
	if err == nil {
		err = greet(conn)
	}
	return conn, err
}

// ConnectAs is [Bus.Connect] by a process of user uid, whose only group is gid
// where it is given and uid's number otherwise. Another uid than the test's own
// needs root; the test has to skip itself without.
func (b *Bus) ConnectAs(t testing.TB, uid int, gid ...int) *dbus.Conn {
	t.Helper()
	if uid == os.Geteuid() && len(gid) == 0 {
		return b.Connect(t)
	}
	group := uid
	if len(gid) > 0 {
		group = gid[0]
	}
	var conn *dbus.Conn
	err := as(uid, group, func() (err error) {
		conn, err = b.dial(nil)
		return err
	})
	if err == nil {
		err = greet(conn)
	}
	if err != nil {
		t.Fatalf("connect to the bus as user %d: %v", uid, err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func (b *Bus) dial(options []dbus.ConnOption) (*dbus.Conn, error) {
	ordered := dbus.WithSignalHandler(dbus.NewSequentialSignalHandler())
	return dbus.Dial(b.Address, append([]dbus.ConnOption{ordered}, options...)...)
}

// greet lets the bus find out who connects and give it a name. godbus sends no
// uid of its own with EXTERNAL, so that the kernel's word alone counts.
func greet(conn *dbus.Conn) error {
	late := time.AfterFunc(connectLimit, func() { conn.Close() })
	defer late.Stop()
	err := conn.Auth(nil)
	if err == nil {
		err = conn.Hello()
	}
	if err != nil {
		conn.Close()
	}
	return err
}

// as runs what in a thread whose effective user and groups are others: the
// kernel notes those of the thread at the moment it connects. The file system
// still sees root, so that the bus may lie in a folder that only root enters.
// System calls by number, because Go's own change all threads at once.
func as(uid, gid int, what func() error) error {
	runtime.LockOSThread()
	before, err := unix.Getgroups()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	err = first(
		func() error { return setGroups([]int{gid}) },
		func() error { return setIDs(unix.SYS_SETRESGID, gid) },
		func() error { return setIDs(unix.SYS_SETRESUID, uid) },
		func() error { return setFileUser(0) },
		what)
	back := first(
		func() error { return setIDs(unix.SYS_SETRESUID, 0) },
		func() error { return setIDs(unix.SYS_SETRESGID, unix.Getgid()) },
		func() error { return setGroups(before) })
	if back != nil {
		// Left locked, the thread ends with its goroutine and harms no other.
		return fmt.Errorf("become root again: %w", back)
	}
	runtime.UnlockOSThread()
	return err
}

func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}
