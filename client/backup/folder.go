package backup

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qvmremote/queue"
)

// folder is an open folder. Names in it are single components, and none of its
// methods follows a symlink or leaves it, whatever is renamed meanwhile.
type folder struct{ f *os.File }

// openFolder opens the folder at path; its last component may be no symlink.
func openFolder(path string) (folder, error) {
	return opened(unix.AT_FDCWD, path, path)
}

// openFolderAt opens the folder at path, which a person may have made a symlink.
func openFolderAt(path string) (folder, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return folder{}, err
	}
	return openFolder(real)
}

func opened(at int, name, path string) (folder, error) {
	fd, err := unix.Openat(at, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return folder{}, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return folder{os.NewFile(uintptr(fd), path)}, nil
}

func (d folder) close()               { _ = d.f.Close() }
func (d folder) fd() int              { return int(d.f.Fd()) }
func (d folder) path(n string) string { return filepath.Join(d.f.Name(), n) }
func (d folder) names() ([]string, error) {
	if _, err := d.f.Seek(0, 0); err != nil {
		return nil, err
	}
	return d.f.Readdirnames(-1)
}

func (d folder) failed(op, name string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: d.path(name), Err: err}
}

func (d folder) sub(name string) (folder, error) { return opened(d.fd(), name, d.path(name)) }

// make makes a folder where there is none and opens it.
func (d folder) make(name string) (folder, error) {
	if err := unix.Mkdirat(d.fd(), name, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
		return folder{}, d.failed("mkdir", name, err)
	}
	return d.sub(name)
}

// open opens a plain file for reading.
func (d folder) open(name string) (*os.File, int64, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENXIO) {
		err = queue.ErrNotRegular
	}
	if err != nil {
		return nil, 0, d.failed("open", name, err)
	}
	f := os.NewFile(uintptr(fd), d.path(name))
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = d.failed("open", name, queue.ErrNotRegular)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, err
	}
	return f, info.Size(), nil
}

// create makes a new file, mode 0600.
func (d folder) create(name string) (*os.File, error) {
	fd, err := unix.Openat(d.fd(), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, d.failed("create", name, err)
	}
	return os.NewFile(uintptr(fd), d.path(name)), nil
}

// move gives a file or folder its name, never over another.
func (d folder) move(from string, to folder, name string) error {
	err := unix.Renameat2(d.fd(), from, to.fd(), name, unix.RENAME_NOREPLACE)
	return to.failed("rename", name, err)
}

// swap exchanges two files in one step.
func (d folder) swap(a, b string) error {
	return d.failed("rename", b, unix.Renameat2(d.fd(), a, d.fd(), b, unix.RENAME_EXCHANGE))
}

func (d folder) remove(name string) { _ = unix.Unlinkat(d.fd(), name, 0) }

// free is how many bytes an account without privileges may still write here.
func (d folder) free() (int64, error) {
	var s unix.Statfs_t
	if err := unix.Fstatfs(d.fd(), &s); err != nil {
		return 0, d.failed("statfs", ".", err)
	}
	return int64(s.Bavail) * s.Bsize, nil
}

// flush waits until all that was written is on the disk: of many small files
// that is quicker than one after the other.
func (d folder) flush() error { return d.failed("syncfs", ".", unix.Syncfs(d.fd())) }

// lock takes the folder for this process alone, or says at once that another
// one has it. The kernel gives it back when the process ends.
func (d folder) lock() error {
	err := unix.Flock(d.fd(), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrBusy
	}
	return d.failed("flock", ".", err)
}

// ErrBusy says that another program restores right now.
var ErrBusy = errors.New("another restore or pull is under way in this qube; wait for it")

// scratch makes a name that nobody else uses.
func scratch(prefix string) string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails on the supported systems
	return fmt.Sprintf("%s%s", prefix, hex.EncodeToString(b[:]))
}
