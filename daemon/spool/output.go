package spool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// Output is one stream of a command's output: written by the command's runner,
// read at its own pace by whoever sends it to the qube. It holds a descriptor
// only while it is used, since many requests may wait for a qube that is gone.
type Output struct {
	entry *Entry
	path  string
	grown chan struct{}

	mu   sync.Mutex
	f    *os.File
	hash hash.Hash
	size int64
}

// Output is the empty out or err of a new request.
func (e *Entry) Output(s queue.Stream) *Output {
	name := "out"
	if s == queue.Stderr {
		name = "err"
	}
	return &Output{entry: e, path: filepath.Join(e.dir, name), hash: sha256.New(), grown: make(chan struct{}, 1)}
}

// Recover takes in what an earlier run left of the output.
func (o *Output) Recover() error {
	f, size, err := queue.OpenRegular(o.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot read an output: %w", err)
	}
	n, err := io.Copy(o.hash, io.LimitReader(f, size))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil && n != size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("cannot read an output: %w", err)
	}
	o.size = size
	return nil
}

// open opens the file if it is not open; o.mu is held.
func (o *Output) open() (*os.File, error) {
	if o.f != nil {
		return o.f, nil
	}
	f, err := os.OpenFile(o.path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot keep an output: %w", err)
	}
	o.f = f
	return f, nil
}

// Write appends to the output. The runner bounds its length, the spool's
// quotas bound what all outputs take: the error is [ErrFull] beyond them.
func (o *Output) Write(p []byte) (int, error) {
	n := 0
	err := o.entry.grow(int64(len(p)))
	o.mu.Lock()
	var f *os.File
	if err == nil {
		f, err = o.open()
	}
	if err == nil {
		n, err = f.WriteAt(p, o.size)
		o.hash.Write(p[:n])
		o.size += int64(n)
	}
	o.mu.Unlock()
	select {
	case o.grown <- struct{}{}:
	default:
	}
	return n, err
}

// ReadAt reads what was written.
func (o *Output) ReadAt(p []byte, off int64) (int, error) {
	o.mu.Lock()
	f, err := o.open()
	o.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return f.ReadAt(p, off)
}

// Size is how many bytes there are so far.
func (o *Output) Size() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.size
}

// Sum is the output's sum so far.
func (o *Output) Sum() queue.Sum {
	o.mu.Lock()
	defer o.mu.Unlock()
	return queue.Sum{SHA256: [32]byte(o.hash.Sum(nil)), Size: o.size, Present: true}
}

// Grown has a value after the output grew.
func (o *Output) Grown() <-chan struct{} { return o.grown }

// Sync puts the output on the disk, with its name.
func (o *Output) Sync() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f == nil {
		return nil
	}
	if err := disk.Sync("spool.output", o.f); err != nil {
		return err
	}
	return disk.SyncDir(filepath.Dir(o.path))
}

// Release gives the descriptor back. The output can be used on; nobody may be
// using it at this moment.
func (o *Output) Release() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.f == nil {
		return nil
	}
	f := o.f
	o.f = nil
	return f.Close()
}
