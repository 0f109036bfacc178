// Package disk changes files so that the change outlives a crash, or did not
// happen at all: what a function here reports as done is on the disk, and its
// folder knows about it. Every step is a named crash point, so that a test can
// stop the daemon exactly there (see Point).
//
// No other package of the daemon renames, syncs or unlinks a file whose
// content decides something; a test holds that.
package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// tempPrefix marks half-written files; [Clean] removes what a crash left.
const tempPrefix = ".tmp-"

// Replace puts data at path with the given mode: written to a new file beside
// it, fsynced, renamed over path, folder fsynced. Readers see the old content
// or the new one, never a part. The mode is set before the first byte is
// written, whatever the umask.
func Replace(point, path string, data []byte, mode fs.FileMode) error {
	if err := Swap(point, path, data, mode); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// Swap is [Replace] without the fsync of the folder: after a power cut the old
// content may be back, a part of either never is.
func Swap(point, path string, data []byte, mode fs.FileMode) error {
	f, err := writeTemp(path, data, mode)
	if err == nil {
		err = Sync(point, f)
	}
	return intoPlace(point, f, path, err)
}

// Place is [Swap] without any fsync: readers see the old content or the new
// one, and so does whoever comes after a crash of this process; after a power
// cut, on some file systems, the file may be empty. It is for what can be made
// again and is synced later.
func Place(point, path string, data []byte, mode fs.FileMode) error {
	f, err := writeTemp(path, data, mode)
	return intoPlace(point, f, path, err)
}

// Create makes an empty file and fsyncs it and its folder. The error is
// [fs.ErrExist] where path is there, whatever it is: of two programs that create
// at once one does, and neither takes away what the other wrote.
func Create(point, path string, mode fs.FileMode) error {
	f, err := create(path, mode)
	if err != nil {
		return err
	}
	err = Sync(point, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// writeTemp returns a new file beside path that holds data. It may be non-nil
// with an error.
func writeTemp(path string, data []byte, mode fs.FileMode) (*os.File, error) {
	f, err := createTemp(filepath.Dir(path), mode)
	if err != nil {
		return nil, err
	}
	_, err = f.Write(data)
	return f, err
}

// intoPlace renames f over path, or removes it if it could not be written.
func intoPlace(point string, f *os.File, path string, err error) error {
	if f != nil {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err == nil {
		Point(point + ":before-rename")
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		if f != nil {
			_ = os.Remove(f.Name())
		}
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	Point(point + ":after-rename")
	return nil
}

func createTemp(dir string, mode fs.FileMode) (*os.File, error) {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails on the supported systems
	return create(filepath.Join(dir, tempPrefix+hex.EncodeToString(b[:])), mode)
}

func create(name string, mode fs.FileMode) (*os.File, error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(mode); err != nil {
		_ = f.Close()
		_ = os.Remove(name)
		return nil, err
	}
	return f, nil
}

// RenameNew moves oldPath to newPath in the same folder and fsyncs the folder.
// The error is [fs.ErrExist] where newPath is there, whatever it is.
func RenameNew(point, oldPath, newPath string) error {
	Point(point + ":before-rename")
	err := unix.Renameat2(unix.AT_FDCWD, oldPath, unix.AT_FDCWD, newPath, unix.RENAME_NOREPLACE)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: oldPath, New: newPath, Err: err}
	}
	Point(point + ":after-rename")
	return SyncDir(filepath.Dir(newPath))
}

// Rename moves oldPath to newPath within one folder or between two and fsyncs
// the folders.
func Rename(point, oldPath, newPath string) error {
	Point(point + ":before-rename")
	if err := os.Rename(oldPath, newPath); err != nil {
		return err
	}
	Point(point + ":after-rename")
	if err := SyncDir(filepath.Dir(newPath)); err != nil {
		return err
	}
	if from := filepath.Dir(oldPath); from != filepath.Dir(newPath) {
		return SyncDir(from)
	}
	return nil
}

// Remove unlinks path, which may be missing, and fsyncs its folder.
func Remove(point, path string) error {
	Point(point + ":before-remove")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	Point(point + ":after-remove")
	return SyncDir(filepath.Dir(path))
}

// RemoveTree removes the folder path and all below it, and fsyncs the folder
// it was in. A crash may leave it half empty: what is in it must not decide
// anything once its removal has begun.
func RemoveTree(point, path string) error {
	Point(point + ":before-remove")
	if err := os.RemoveAll(path); err != nil {
		return err
	}
	Point(point + ":after-remove")
	return SyncDir(filepath.Dir(path))
}

// Mkdir makes the folder path (its parent must be there) and fsyncs the
// parent. A folder that is there already is no error; its mode is left alone.
func Mkdir(point, path string, mode fs.FileMode) error {
	Point(point + ":before-mkdir")
	if err := os.Mkdir(path, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	}
	Point(point + ":after-mkdir")
	return SyncDir(filepath.Dir(path))
}

// Sync fsyncs an open file.
func Sync(point string, f *os.File) error {
	Point(point + ":before-fsync")
	if err := f.Sync(); err != nil {
		return err
	}
	Point(point + ":after-fsync")
	return nil
}

// SyncDir fsyncs a folder, so that names made or removed in it stay so.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}

// SyncAll fsyncs a file and folders at once: on a journalling file system they
// share one wait.
func SyncAll(f *os.File, dirs ...string) error {
	errs := make(chan error, len(dirs))
	for _, dir := range dirs {
		go func() { errs <- SyncDir(dir) }()
	}
	err := f.Sync()
	for range dirs {
		err = errors.Join(err, <-errs)
	}
	return err
}

// Clean removes from dir the half-written files that a crash left there. Call
// it only while holding the lock that guards the writers of dir.
func Clean(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range left {
		errs = append(errs, os.Remove(name))
	}
	return errors.Join(errs...)
}
