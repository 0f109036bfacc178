package admin

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
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
		// The number of the device differs from stat's on some file systems, so
		// the process itself must have the file open.
		if err == nil && pid > 0 && hasOpen(pid, info) {
			return pid, true
		}
	}
	return 0, false
}

func hasOpen(pid int, file os.FileInfo) bool {
	open, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil {
		return false
	}
	for _, fd := range open {
		if info, err := os.Stat(fd); err == nil && os.SameFile(info, file) {
			return true
		}
	}
	return false
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
