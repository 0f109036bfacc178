package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// logMode lets the desktop user, who is in group qubes, read the log.
const (
	logMode  = 0o640
	logGroup = "qubes"
)

// writeFile appends text with one write, so that lines of other processes do
// not come between. It takes no lock on the file: whoever may read it could
// hold that for ever.
func (m *Mirror) writeFile(text string) error {
	if text == "" {
		return nil
	}
	m.file.Lock()
	defer m.file.Unlock()
	f, err := openLog(m.path)
	if err != nil {
		return fmt.Errorf("cannot write the log for people: %w", err)
	}
	if torn(f) {
		text = "\n" + text
	}
	_, err = f.WriteString(text)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("cannot write the log for people: %w", err)
	}
	return nil
}

// torn reports whether the last write broke off inside a line, on a full disk:
// the next record must not be read as its end. A write of another process that
// is just under way looks the same, and gets an empty line before ours.
func torn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}

// openLog opens the log, or makes it. Its folder belongs to a group, so what
// lies there may be a trap: a link, a FIFO, somebody's file.
func openLog(path string) (*os.File, error) {
	const flags = os.O_RDWR | os.O_APPEND | unix.O_NOFOLLOW | unix.O_NONBLOCK
	for range 3 { // it may be rotated away, or made, in between
		f, err := os.OpenFile(path, flags, 0)
		if err == nil {
			return checked(f)
		}
		if errors.Is(err, unix.ELOOP) {
			return nil, fmt.Errorf("%s is a symbolic link; remove it", path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		f, err = createLog(path, flags)
		if err == nil || !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
	return nil, fmt.Errorf("%s comes and goes", path)
}

// checked returns f if it is a file that only root could have put there.
func checked(f *os.File) (*os.File, error) {
	info, err := f.Stat()
	if err == nil {
		st, ok := info.Sys().(*syscall.Stat_t)
		switch {
		case !ok || !info.Mode().IsRegular():
			err = fmt.Errorf("%s is not a regular file; remove it", f.Name())
		case int(st.Uid) != os.Geteuid():
			err = fmt.Errorf("%s belongs to account %d, not to root; remove it", f.Name(), st.Uid)
		case st.Nlink != 1:
			err = fmt.Errorf("%s has %d names, must have one; remove it", f.Name(), st.Nlink)
		case info.Mode().Perm()&0o022 != 0:
			err = fmt.Errorf("%s has mode %04o: others may write it; chmod 640 %[1]s", f.Name(), info.Mode().Perm())
		}
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

// createLog makes a new log and gives it to group qubes, where there is one.
func createLog(path string, flags int) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, flags|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if gid := groupID(logGroup); gid > 0 && os.Geteuid() == 0 {
		err = f.Chown(-1, gid)
	}
	if err == nil {
		err = f.Chmod(logMode)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func groupID(name string) int {
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil {
		return -1
	}
	return gid
}
