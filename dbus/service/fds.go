package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
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
		if err := unix.Fstatfs(int(fd), &fs); err != nil || pseudo[int64(fs.Type)] || distant[int64(fs.Type)] {
			return nil, fail(dbus.InvalidArgument, "this is no file with data on a disk of this machine; give a pipe, a socket or a plain file")
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

// maxKeyText is more than a key and what surrounds it in a file.
const maxKeyText = 1 << 10

// keyFrom reads a key, to the end of the file or as much as a key may be, and
// waits for it as long as wait.
func keyFrom(ctx context.Context, fd godbus.UnixFD, wait time.Duration) (queue.Key, error) {
	f, err := stream(fd)
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
	f     *os.File
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
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.EINVAL):
		err = fail(dbus.InvalidArgument, "the file descriptor is not open for writing")
	case errors.Is(err, unix.EPIPE), errors.Is(err, unix.ECONNRESET):
		err = fail(dbus.Cancelled, "whoever read it stopped after %d bytes", p.n)
	}
	return n, err
}
