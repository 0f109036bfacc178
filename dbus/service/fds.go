package service

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	godbus "github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"

	"qvmremote/dbus"
	"qvmremote/queue"
)

// closeAll closes the descriptors that a call came with. Each is in its body
// once, as an argument: see wire.Options.
func closeAll(body []any) {
	for _, v := range body {
		if fd, ok := v.(godbus.UnixFD); ok && fd >= 0 {
			_ = unix.Close(int(fd))
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

// distant are file systems on which a read or a write lasts as long as somebody
// else likes, and no deadline ends it.
var distant = map[int64]bool{
	unix.FUSE_SUPER_MAGIC: true, unix.NFS_SUPER_MAGIC: true, unix.SMB_SUPER_MAGIC: true, unix.SMB2_SUPER_MAGIC: true, unix.CIFS_SUPER_MAGIC: true,
	unix.V9FS_MAGIC: true, unix.CEPH_SUPER_MAGIC: true, unix.AFS_SUPER_MAGIC: true, unix.CODA_SUPER_MAGIC: true, unix.NCP_SUPER_MAGIC: true,
}

// stream is a file of ours for what a caller passed: a pipe, a plain file or,
// for reading alone, a socket. The caller may still have the same open file and
// change how it blocks at any time; no read and no write of ours depends on
// that.
type stream struct {
	handle
	socket bool
}

// handle is what os.File and net.Conn have in common.
type handle interface {
	io.ReadWriteCloser
	syscall.Conn
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// streamOf takes fd for reading, or for writing, as the caller opened it.
func streamOf(fd godbus.UnixFD, write bool) (stream, error) {
	want, err := openedFor(fd, write)
	if err != nil {
		return stream{}, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(fd), &st); err != nil {
		return stream{}, unusable(err)
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFIFO:
		// Opened once more, it is an open file of our own: O_NONBLOCK stays.
		f, err := os.OpenFile("/proc/self/fd/"+strconv.Itoa(int(fd)), want|unix.O_NONBLOCK, 0)
		if errors.Is(err, unix.ENXIO) {
			return stream{}, fail(dbus.Cancelled, "nobody has the other end of the pipe")
		}
		if err != nil {
			return stream{}, unusable(err)
		}
		return stream{handle: f}, nil
	case unix.S_IFSOCK:
		if write {
			// What root writes to a socket may count as said by root, whoever
			// connected it.
			return stream{}, fail(dbus.InvalidArgument, "give a pipe or a plain file to write to, not a socket")
		}
		return socketOf(fd)
	case unix.S_IFREG:
		var fs unix.Statfs_t
		if err := unix.Fstatfs(int(fd), &fs); err != nil || pseudo[int64(fs.Type)] || distant[int64(fs.Type)] {
			return stream{}, fail(dbus.InvalidArgument, "this is no file with data on a disk of this machine; give a pipe, a socket or a plain file")
		}
	default:
		return stream{}, fail(dbus.InvalidArgument, "give a pipe, a socket or a plain file, not a terminal, a device or a folder")
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return stream{}, unusable(err)
	}
	return stream{handle: os.NewFile(uintptr(own), "the caller's file")}, nil
}

// openedFor is the mode to open fd once more with, if the caller opened it for that.
func openedFor(fd godbus.UnixFD, write bool) (mode int, err error) {
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return 0, unusable(err)
	}
	mode, other, name := unix.O_RDONLY, unix.O_WRONLY, "reading"
	if write {
		mode, other, name = unix.O_WRONLY, unix.O_RDONLY, "writing"
	}
	if flags&unix.O_ACCMODE == other || flags&unix.O_PATH != 0 {
		return 0, fail(dbus.InvalidArgument, "the file descriptor is not open for %s", name)
	}
	return mode, nil
}

func unusable(err error) error {
	return fail(dbus.InvalidArgument, "the file descriptor cannot be used: %v", err)
}

// socketOf is a socket that the runtime's poller has, whether it blocks or not.
func socketOf(fd godbus.UnixFD) (stream, error) {
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return stream{}, unusable(err)
	}
	f := os.NewFile(uintptr(own), "the caller's socket")
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return stream{}, unusable(err)
	}
	h, ok := conn.(handle)
	if !ok {
		_ = conn.Close()
		return stream{}, unusable(errors.ErrUnsupported)
	}
	return stream{h, true}, nil
}

// Read is os.File's; a deadline ends it.
func (f stream) Read(b []byte) (n int, err error) {
	if !f.socket {
		return f.handle.Read(b)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) bool {
		n, _, err = unix.Recvfrom(int(fd), b, unix.MSG_DONTWAIT)
		return !errors.Is(err, unix.EAGAIN)
	})
	if waited != nil {
		return 0, waited
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	return max(n, 0), err
}

// maxKeyText is more than a key and what surrounds it in a file.
const maxKeyText = 1 << 10

// keyFrom reads a key, to the end of the file or as much as a key may be, and
// waits for it as long as wait.
func keyFrom(ctx context.Context, fd godbus.UnixFD, wait time.Duration) (queue.Key, error) {
	f, err := streamOf(fd, false)
	if err != nil {
		return queue.Key{}, err
	}
	defer f.Close()
	_ = f.SetReadDeadline(time.Now().Add(wait)) // a plain file has none and needs none
	defer context.AfterFunc(ctx, func() { _ = f.SetReadDeadline(time.Now()) })()
	text := make([]byte, maxKeyText+1)
	defer clear(text)
	n := 0
	for n < len(text) {
		m, err := f.Read(text[n:])
		n += m
		switch {
		case ctx.Err() != nil:
			return queue.Key{}, ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return queue.Key{}, fail(dbus.TimedOut, "no whole key came through the file descriptor; close its other end after writing")
		case err != nil && !errors.Is(err, io.EOF):
			return queue.Key{}, fail(dbus.InvalidArgument, "the file descriptor cannot be read: %v", err)
		}
		if m == 0 || err != nil {
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
	f     stream
	stall time.Duration
	n     uint64
}

func (p *patient) Write(b []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	_ = p.f.SetWriteDeadline(time.Now().Add(p.stall)) // a plain file has none and needs none
	if err := p.ctx.Err(); err != nil {               // whoever ended it may have set the deadline just before
		return 0, err
	}
	n, err := p.f.Write(b)
	p.n += uint64(max(n, 0))
	switch {
	case p.ctx.Err() != nil && err != nil:
		err = p.ctx.Err()
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = fail(dbus.TimedOut, "nobody reads what is exported; %d bytes were written", p.n)
	case errors.Is(err, unix.EINVAL):
		err = fail(dbus.InvalidArgument, "the file descriptor cannot be written: %v", err)
	case errors.Is(err, unix.EPIPE):
		err = fail(dbus.Cancelled, "whoever read it stopped after %d bytes", p.n)
	}
	return n, err
}
