package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"qvmremote/dbus"
	"qvmremote/queue"
)

// closeAll closes the descriptors in a message's body, wherever they are.
func closeAll(body []any) {
	for _, v := range body {
		closeIn(v, 0)
	}
}

// maxNesting is more than D-Bus allows.
const maxNesting = 64

func closeIn(v any, depth int) {
	if depth > maxNesting {
		return
	}
	switch v := v.(type) {
	case godbus.UnixFD:
		_ = unix.Close(int(v))
		return
	case godbus.Variant:
		closeIn(v.Value(), depth+1)
		return
	case []godbus.UnixFD:
		for _, fd := range v {
			_ = unix.Close(int(fd))
		}
		return
	case []any:
		for _, e := range v {
			closeIn(e, depth+1)
		}
		return
	}
	r := reflect.ValueOf(v)
	if r.Kind() == reflect.Map {
		for it := r.MapRange(); it.Next(); {
			closeIn(it.Value().Interface(), depth+1)
		}
	}
}

// pseudo are file systems on which a write by root means something else than
// writing data, whoever opened the file.
var pseudo = map[int64]bool{
	unix.PROC_SUPER_MAGIC: true, unix.SYSFS_MAGIC: true, unix.DEBUGFS_MAGIC: true, unix.TRACEFS_MAGIC: true, unix.CGROUP_SUPER_MAGIC: true,
	unix.CGROUP2_SUPER_MAGIC: true, unix.SECURITYFS_MAGIC: true, unix.SELINUX_MAGIC: true, unix.BPF_FS_MAGIC: true, unix.EFIVARFS_MAGIC: true,
	unix.BINFMTFS_MAGIC: true,
}

// stream takes a descriptor of its own for a pipe, socket or plain file that a
// caller passed. A pipe or socket is made non-blocking, so that deadlines
// work; its other holders see that too.
func stream(fd godbus.UnixFD) (*os.File, error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil {
		return nil, fail(dbus.InvalidArgument, "the file descriptor cannot be used: %v", err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO, unix.S_IFSOCK:
		if err := unix.SetNonblock(int(fd), true); err != nil {
			return nil, fail(dbus.InvalidArgument, "the file descriptor cannot be used: %v", err)
		}
	case unix.S_IFREG:
		var fs unix.Statfs_t
		if err := unix.Fstatfs(int(fd), &fs); err != nil || pseudo[int64(fs.Type)] {
			return nil, fail(dbus.InvalidArgument, "this is no file with data; give a pipe, a socket or a plain file")
		}
	default:
		return nil, fail(dbus.InvalidArgument, "give a pipe, a socket or a plain file, not a terminal, a device or a folder")
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("cannot take the file descriptor: %w", err)
	}
	return os.NewFile(uintptr(own), "the caller's file"), nil
}

// keyWait is how long a caller may take to write a key.
const keyWait = 10 * time.Second

// maxKeyText is more than a key and what surrounds it in a file.
const maxKeyText = 1 << 10

// keyFrom reads a key, to the end of the file or as much as a key may be.
func keyFrom(ctx context.Context, fd godbus.UnixFD) (queue.Key, error) {
	f, err := stream(fd)
	if err != nil {
		return queue.Key{}, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(keyWait)) // a plain file has none and needs none
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })()
	text := make([]byte, maxKeyText+1)
	defer clear(text)
	n := 0
	for n < len(text) {
		m, err := f.Read(text[n:])
		n += m
		if m == 0 || err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return queue.Key{}, fail(dbus.TimedOut, "no whole key came through the file descriptor; close its other end after writing")
			}
			break
		}
	}
	if n > maxKeyText {
		return queue.Key{}, queue.ErrKey
	}
	return queue.ParseKey(text[:n])
}

// patient writes to a caller's file and gives up when nothing is taken for a
// while.
type patient struct {
	ctx   context.Context
	f     *os.File
	stall time.Duration
	n     uint64
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	_ = p.f.SetWriteDeadline(time.Now().Add(p.stall)) // a plain file has none and needs none
	n, err := p.f.Write(b)
	p.n += uint64(max(n, 0))
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fail(dbus.TimedOut, "nobody reads what is exported; %d bytes were written", p.n)
	case errors.Is(err, unix.EPIPE):
		err = fail(dbus.Cancelled, "whoever read it stopped after %d bytes", p.n)
	}
	return n, err
}
