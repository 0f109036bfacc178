// Package spool holds what dom0 has of the requests it took: one folder a
// request, named by dom0's own number. It guarantees that nothing a qube chose
// becomes part of a path, that what a request's answer needs (the key that signs
// it, the signed answer, the outputs once synced) is on the disk before the
// function that put it there returns, and that the spool stays within its
// quotas. Script and stdin may be lost with the power: no one reads them after
// a crash.
package spool

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"qvmremote/daemon/disk"
	"qvmremote/queue"
)

// Quota bounds the spool, in bytes.
type Quota struct {
	Qube  int64 // what one qube's requests may take
	Total int64
	Free  int64 // the file system keeps at least this much free
}

// ErrFull says that a request does not fit into the spool's quotas.
var ErrFull = errors.New("dom0's spool is full")

// Spool is the folder of all requests.
type Spool struct {
	dir   string
	quota Quota
	mu    sync.Mutex
	used  map[string]int64 // by qube
	total int64
	kept  map[string]bool // fingerprints whose key is on the disk
	free  func(dir string) (int64, error)
}

// Open opens the spool, making its folder (0700) if it is missing.
func Open(dir string, q Quota) (*Spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cannot make the spool: %w", err)
	}
	return &Spool{dir: dir, quota: q, used: map[string]int64{}, kept: map[string]bool{}, free: freeBytes}, nil
}

func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("cannot ask how much space is free: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Numbers lists the requests that have a folder.
func (s *Spool) Numbers() ([]int64, error) {
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read the spool: %w", err)
	}
	var numbers []int64
	for _, e := range entries {
		if n, err := strconv.ParseInt(e.Name(), 10, 64); err == nil && n > 0 && strconv.FormatInt(n, 10) == e.Name() {
			numbers = append(numbers, n)
		}
	}
	return numbers, nil
}

// entryCost is what a folder and its small files take on a disk beside their
// content: many tiny requests fill one as well.
const entryCost = 16 << 10

// room reserves bytes for a qube's request, or says [ErrFull]. Each entry
// gives back what it reserved when it is removed.
func (s *Spool) room(qube string, bytes int64) error {
	free, err := s.free(s.dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.used[qube]+bytes > s.quota.Qube:
		return fmt.Errorf("%w: this qube's share of %d bytes is used up", ErrFull, s.quota.Qube)
	case s.total+bytes > s.quota.Total:
		return fmt.Errorf("%w: all of its %d bytes are used", ErrFull, s.quota.Total)
	case free-bytes < s.quota.Free:
		return fmt.Errorf("%w: the disk would have less than %d bytes free", ErrFull, s.quota.Free)
	}
	s.used[qube] += bytes
	s.total += bytes
	return nil
}

// grow reserves more for an entry that is there.
func (e *Entry) grow(bytes int64) error {
	if err := e.spool.room(e.qube, bytes); err != nil {
		return err
	}
	e.spool.mu.Lock()
	defer e.spool.mu.Unlock()
	e.reserved += bytes
	return nil
}

func (e *Entry) giveBack() {
	s := e.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	s.total -= e.reserved
	if s.used[e.qube] -= e.reserved; s.used[e.qube] <= 0 {
		delete(s.used, e.qube)
	}
}

// Entry is one request's folder.
type Entry struct {
	Number   int64
	spool    *Spool
	qube     string
	reserved int64
	dir      string
	key      string // fingerprint of the key that authenticated it
	once     sync.Once
}

// The files of an entry: script and stdin are written after the claim, out and
// err while the command runs, result before the first delivery.
const (
	script = "script"
	stdin  = "stdin"
	result = "result"
)

// Create makes the folder of a request that is about to be claimed and keeps
// what signs its answer, so that no crash after the claim can leave the qube
// without one: k is on the disk when it returns. The folder need not be: what
// it holds of a request that a crash interrupted is never used again. bytes is
// what header, script and stdin take together; an output reserves its own as
// it grows. A number that has a folder already is an error: what is in it
// belongs to another request.
func (s *Spool) Create(number int64, qube string, bytes int64, fingerprint string, k queue.MACKey) (*Entry, error) {
	e := &Entry{Number: number, spool: s, qube: qube, reserved: bytes + entryCost, dir: s.path(number), key: fingerprint}
	if _, err := os.Lstat(e.dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("cannot keep the request: number %d is in use: %w", number, fs.ErrExist)
	}
	if err := s.room(qube, e.reserved); err != nil {
		return nil, err
	}
	err := s.keepKey(fingerprint, k)
	if err == nil {
		err = os.Mkdir(e.dir, 0o700)
	}
	if err != nil {
		e.giveBack()
		return nil, fmt.Errorf("cannot keep the request: %w", err)
	}
	disk.Point("spool.create:after-mkdir")
	return e, nil
}

func (s *Spool) path(number int64) string {
	return filepath.Join(s.dir, strconv.FormatInt(number, 10))
}

// Reopen returns the folder of a request that an earlier run took, empty where a
// crash lost it. Its size is counted, never refused.
func (s *Spool) Reopen(number int64, qube, fingerprint string) (*Entry, error) {
	e := &Entry{Number: number, spool: s, qube: qube, reserved: entryCost, dir: s.path(number), key: fingerprint}
	if err := os.Mkdir(e.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("cannot take request %d up again: %w", number, err)
	}
	entries, err := os.ReadDir(e.dir)
	if err != nil {
		return nil, fmt.Errorf("cannot read request %d: %w", number, err)
	}
	for _, f := range entries {
		if info, err := f.Info(); err == nil {
			e.reserved += info.Size()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[qube] += e.reserved
	s.total += e.reserved
	return e, nil
}

// Remove deletes the request's folder, once nothing of it is needed.
func (e *Entry) Remove() error {
	if err := disk.RemoveTree("spool.remove", e.dir); err != nil {
		return fmt.Errorf("cannot remove request %d: %w", e.Number, err)
	}
	e.once.Do(e.giveBack)
	return nil
}

// RemoveStray deletes the folder of a number that no open request has.
func (s *Spool) RemoveStray(number int64) error {
	return disk.RemoveTree("spool.stray", s.path(number))
}

// ResultKey is the key that signs the request's answer, whatever became of the
// qube's key since.
func (e *Entry) ResultKey() (queue.MACKey, error) {
	return e.spool.key(e.key)
}

func (e *Entry) read(name string) ([]byte, error) {
	b, err := queue.ReadSmall(filepath.Join(e.dir, name), queue.MaxScript)
	if err != nil {
		return nil, fmt.Errorf("cannot read request %d: %w", e.Number, err)
	}
	return b, nil
}

// ErrMismatch says that a part is not what the header promised.
var ErrMismatch = errors.New("the part is not what its header says")

// Script stores the script that fill writes, if it is the one the header's sum
// names; else [ErrMismatch].
func (e *Entry) Script(want queue.Sum, fill func(io.Writer) error) error {
	return e.part("spool.script:stored", script, want, fill)
}

// ReadScript returns the stored script.
func (e *Entry) ReadScript() ([]byte, error) { return e.read(script) }

// Stdin stores standard input under the same rule.
func (e *Entry) Stdin(want queue.Sum, fill func(io.Writer) error) error {
	return e.part("spool.stdin:stored", stdin, want, fill)
}

// part does not fsync: a request whose parts a crash may have lost is never run
// again, only answered.
func (e *Entry) part(point, name string, want queue.Sum, fill func(io.Writer) error) error {
	f, err := os.OpenFile(filepath.Join(e.dir, name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return fmt.Errorf("cannot store request %d: %w", e.Number, err)
	}
	h := sha256.New()
	m := &meter{w: io.MultiWriter(f, h), left: want.Size}
	err = fill(m)
	if err == nil && (m.left != 0 || queue.Sum{SHA256: [32]byte(h.Sum(nil)), Size: want.Size, Present: true} != want) {
		err = ErrMismatch
	}
	if cerr := f.Close(); err == nil && cerr != nil {
		err = cerr
	}
	disk.Point(point)
	return err
}

// meter lets no more than left bytes through.
type meter struct {
	w    io.Writer
	left int64
}

func (m *meter) Write(p []byte) (int, error) {
	if int64(len(p)) > m.left {
		return 0, ErrMismatch
	}
	n, err := m.w.Write(p)
	m.left -= int64(n)
	return n, err
}

// ScriptPath and StdinPath are for whoever runs the command.
func (e *Entry) ScriptPath() string { return filepath.Join(e.dir, script) }

// StdinPath is the path of the stored standard input.
func (e *Entry) StdinPath() string { return filepath.Join(e.dir, stdin) }

// SaveResult keeps the signed answer before it is first delivered. A second
// delivery sends the same bytes. It is written with its hash, so that what a
// crash left of it, which was never delivered, is told from all of it.
func (e *Entry) SaveResult(b []byte) error {
	f, err := os.OpenFile(filepath.Join(e.dir, result), os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600)
	if err == nil {
		sum := sha256.Sum256(b)
		_, err = f.Write(append(sum[:], b...))
		if err == nil {
			disk.Point("spool.result:before-fsync")
			err = disk.SyncAll(f, e.dir, e.spool.dir)
			disk.Point("spool.result:after-fsync")
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		return fmt.Errorf("cannot keep the answer of request %d: %w", e.Number, err)
	}
	return nil
}

// Result returns the saved answer; ok is false where there is none yet.
func (e *Entry) Result() (b []byte, ok bool, err error) {
	b, err = e.read(result)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil || len(b) < sha256.Size {
		return nil, false, err
	}
	sum, b := [sha256.Size]byte(b[:sha256.Size]), b[sha256.Size:]
	return b, sha256.Sum256(b) == sum, nil
}
