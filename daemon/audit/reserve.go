package audit

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
)

// fillReserve makes the reserve whole where there is room, and notes whether it
// is. The reserve is a file of real blocks. When the disk is full it is given
// back for final records; no claim is written until it is whole again.
func (l *Log) fillReserve() {
	err := l.checkReserve()
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrReserve, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserve = err
}

func (l *Log) checkReserve() error {
	if l.o.Reserve < 0 {
		return nil
	}
	f, err := openRegular(filepath.Join(l.dir, reserveName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if whole(f, l.o.Reserve) {
		return nil
	}
	if err := allocate(f, l.o.Reserve); err != nil {
		_ = f.Truncate(0) // a part of it would be no use and takes the room
		return err
	}
	if !whole(f, l.o.Reserve) {
		return errors.New("the disk does not keep the room it promised")
	}
	return nil
}

// giveReserve gives the reserve back to the disk; false when there was none.
func (l *Log) giveReserve() bool {
	f, err := openRegular(filepath.Join(l.dir, reserveName), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil || st.Size() == 0 || f.Truncate(0) != nil {
		return false
	}
	disk.Point("audit.reserve:given")
	_ = f.Sync() // some file systems free blocks only then
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reserve = fmt.Errorf("%w: it was given up for final records", ErrReserve)
	return true
}

// whole says whether f has size bytes and the blocks for them.
func whole(f *os.File, size int64) bool {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return err == nil && st.Size == size && st.Blocks*512 >= size
}

// allocate gives f size bytes of real blocks.
func allocate(f *os.File, size int64) error {
	err := unix.Fallocate(int(f.Fd()), 0, 0, size)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	return writeBlocks(f, size)
}

// writeBlocks fills f where the file system cannot set blocks aside.
func writeBlocks(f *os.File, size int64) error {
	block := make([]byte, 64<<10)
	for off := int64(0); off < size; off += int64(len(block)) {
		_, _ = rand.Read(block) // not zeros: a file system may leave those out
		if _, err := f.WriteAt(block[:min(int64(len(block)), size-off)], off); err != nil {
			return err
		}
	}
	return f.Sync()
}
