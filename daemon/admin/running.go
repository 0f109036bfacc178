package admin

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLocks bounds what is read of the kernel's list of locks.
const maxLocks = 1 << 20

// Executor tells whether an executor runs here, and its process.
func (a *Admin) Executor() (pid int, running bool) { return executor(a.Root.ExecutorLock()) }

// executor tells whether an executor holds the lock at path, and its process.
// It looks and does not try the lock: a try could make an executor that starts
// at that moment believe that another one runs.
func executor(path string) (pid int, running bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	b, err := readBounded("/proc/locks", maxLocks)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		// "12: FLOCK  ADVISORY  WRITE 1234 00:19:5678 0 EOF"
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[3] != "WRITE" || !strings.HasSuffix(f[5], fmt.Sprintf(":%d", st.Ino)) {
			continue
		}
		pid, err := strconv.Atoi(f[4])
		if err == nil && pid > 0 && hasOpen(pid, info, f[5]) {
			return pid, true
		}
	}
	return 0, false
}

// hasOpen reports whether the process has the file open. The number of the
// device in the list of locks differs from stat's on some file systems, so the
// process itself is looked at; where that is not allowed, as to a service that
// may do less than the executor, the numbers must do.
func hasOpen(pid int, file os.FileInfo, lock string) bool {
	fds := fmt.Sprintf("/proc/%d/fd", pid)
	open, err := os.ReadDir(fds)
	if errors.Is(err, fs.ErrPermission) {
		return sameDevice(file, lock)
	}
	for _, fd := range open {
		info, err := os.Stat(filepath.Join(fds, fd.Name()))
		if err == nil && os.SameFile(info, file) {
			return true
		}
		if errors.Is(err, fs.ErrPermission) {
			return sameDevice(file, lock)
		}
	}
	// A process that is hidden is not one that is gone.
	return errors.Is(err, fs.ErrNotExist) && syscall.Kill(pid, 0) != syscall.ESRCH && sameDevice(file, lock)
}

// sameDevice compares the device of "00:19:5678" with the file's.
func sameDevice(file os.FileInfo, lock string) bool {
	st, ok := file.Sys().(*syscall.Stat_t)
	var major, minor uint32
	if n, err := fmt.Sscanf(lock, "%x:%x:", &major, &minor); n != 2 || err != nil || !ok {
		return false
	}
	return unix.Major(st.Dev) == major && unix.Minor(st.Dev) == minor
}

// readBounded reads a file of the kernel's, whose size is not known before.
func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, limit))
}
