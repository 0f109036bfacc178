// Package audit keeps the log that is the daemon's database.
//
// It guarantees: a record whose Update returned is on the disk and covered by a
// signed head; records have the numbers 0, 1, 2 … and stand in that order,
// whichever process wrote them; what a [Fold] was given is exactly what a later
// start will give it again; a record that could not be written leaves log and
// Fold as they were; and damage is found and named, never passed over.
//
// The folder holds the segments (one JSON record a line), a Merkle tree over
// the lines, the head (size and root of the tree, signed) and a lock. Several
// processes may open it; each appends only with the lock held and after it has
// read what the others appended.
//
// What it cannot show by itself: root can rewrite log, tree and signature
// together, the key lies beside them. [Verify] with a checkpoint that a qube or
// a sheet of paper kept finds that.
package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"qvmremote/daemon/disk"
)

// Fold is the state that its owner derives from the log. The Log calls it from
// one goroutine at a time, during [Open] and while an Update holds the lock;
// an owner that reads it elsewhere needs a lock of its own.
type Fold interface {
	// Apply takes in every record once, in order, whichever process wrote it.
	// A Loss found by another process arrives here and nowhere else.
	Apply(Record)
	// Carry gives the state for the first record of a new segment and the
	// lowest seq that a later start must still read, -1 for none.
	Carry() (state json.RawMessage, oldest int64)
	// Load resets the state to what a Carry gave. It is called at most once,
	// before any Apply, for the segment that the reading starts with.
	Load(state json.RawMessage) error
	// Prune is called before the records below upto are removed and returns
	// what must be recorded first.
	Prune(upto int64) []Record
}

// Options of a log. A zero value stands for the default in parentheses.
type Options struct {
	Now          func() time.Time // wall clock (time.Now)
	MaxAge       time.Duration    // records are kept so long (400 days)
	MinAge       time.Duration    // and at least so long, whatever their size (30 days)
	MaxBytes     int64            // of all segments (1 GiB)
	SegmentBytes int64            // a new segment is begun above it, and every UTC day (16 MiB)
	Reserve      int64            // bytes set aside for UpdateFinal (4 MiB); negative: none
	LockWait     time.Duration    // for the lock, where the context has no earlier deadline (30 s)

	hooks hooks
}

// hooks let tests stand in for a disk that fails.
type hooks struct {
	writeAt  func(f *os.File, data []byte, off int64) (int, error)
	truncate func(f *os.File, size int64) error
	sync     func(point string, f *os.File) error
	replace  func(point, path string, data []byte, mode fs.FileMode) error
	place    func(point, path string, data []byte, mode fs.FileMode) error // replace, where only that is set
}

func (o Options) withDefaults() Options {
	const day = 24 * time.Hour
	if o.Now == nil {
		o.Now = time.Now
	}
	setDefault(&o.MaxAge, 400*day)
	setDefault(&o.MinAge, 30*day)
	setDefault(&o.MaxBytes, 1<<30)
	setDefault(&o.SegmentBytes, 16<<20)
	setDefault(&o.Reserve, 4<<20)
	setDefault(&o.LockWait, 30*time.Second)
	if o.hooks.writeAt == nil {
		o.hooks.writeAt = (*os.File).WriteAt
	}
	if o.hooks.truncate == nil {
		o.hooks.truncate = (*os.File).Truncate
	}
	if o.hooks.sync == nil {
		o.hooks.sync = disk.Sync
	}
	if o.hooks.place == nil {
		o.hooks.place = disk.Place
		if o.hooks.replace != nil {
			o.hooks.place = o.hooks.replace
		}
	}
	if o.hooks.replace == nil {
		o.hooks.replace = disk.Swap
	}
	return o
}

func setDefault[T int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// The errors an Update may wrap, beside those of the disk.
var (
	// ErrBroken: an fsync failed or a failed write could not be cut back. What
	// the disk holds is not known; nothing is accepted until a new Open.
	ErrBroken = errors.New("the audit log accepts nothing more until the service is restarted")
	// ErrUnsigned: the records are on the disk and in the Fold, and the Commit
	// has their Seqs, but the head that covers them could not be written. The
	// next Update tries that first. Do not add the records again.
	ErrUnsigned = errors.New("recorded, but the signed head of the audit log could not be written")
	// ErrReserve: the reserve for final records is not whole.
	ErrReserve = errors.New("the audit folder has no room left for final records; free some disk space")
	// ErrClosed: the Log was closed.
	ErrClosed = errors.New("the audit log is closed")
)

// Log is one process's open log. Its methods may be used from any goroutine.
type Log struct {
	dir  string
	o    Options
	fold Fold
	key  *signingKey
	lock *os.File
	tree *os.File

	// What follows belongs to the goroutine that commits; see commit.go.
	cur       segment
	file      *os.File // cur, open for writing
	end       int64    // bytes of cur that are complete lines known here
	carried   int64    // bytes of cur's first line
	n         int64    // seq of the next record
	edge      frontier // of the tree over n records
	treeEnd   int64    // bytes of the tree file known to be right
	pending   []byte   // stored hashes that belong at treeEnd
	unsynced  bool     // records in cur may not be on the disk
	dirty     bool     // the head on the disk does not cover n records
	unsettled bool     // the head was not synced since it was written
	owed      []Record // found by this process, to be recorded first
	fresh     []Event  // written here, and the head on the disk does not cover them

	calls   chan *call
	closing chan struct{}
	closed  sync.Once
	stopped chan struct{} // closed when the committing goroutine is gone

	mu       sync.Mutex
	head     head // on the disk
	broken   error
	reserve  error // nil: whole
	found    []Finding
	standing map[FindingKind]Finding
}

// Open opens the log in dir, which is made with mode 0700 when missing (its
// parent must be there), repairs what a crash left, and gives s the state of
// all records. It waits for the lock as an Update does. Damage does not make
// it fail: see [Log.Findings].
func Open(ctx context.Context, dir string, o Options, s Fold) (*Log, error) {
	o = o.withDefaults()
	ctx, cancel := context.WithTimeout(ctx, o.LockWait)
	defer cancel()
	if err := prepareFolder(dir); err != nil {
		return nil, fmt.Errorf("cannot use the audit folder: %w", err)
	}
	l := &Log{
		dir: dir, o: o, fold: s,
		calls:    make(chan *call, maxBatch),
		closing:  make(chan struct{}),
		stopped:  make(chan struct{}),
		standing: map[FindingKind]Finding{},
	}
	if err := l.open(ctx); err != nil {
		l.closeFiles()
		return nil, fmt.Errorf("cannot open the audit log in %s: %w", dir, err)
	}
	go l.serve()
	return l, nil
}

// prepareFolder makes dir, or checks that it is a folder of ours and repairs
// its mode.
func prepareFolder(dir string) error {
	if err := disk.Mkdir("audit.folder", dir, 0o700); err != nil {
		return err
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return fmt.Errorf("%s is not a folder", dir)
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); !ok || int(sys.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to another account", dir)
	}
	if st.Mode().Perm() == 0o700 {
		return nil
	}
	return os.Chmod(dir, 0o700)
}

func (l *Log) open(ctx context.Context) (err error) {
	if l.lock, err = openRegular(filepath.Join(l.dir, lockName), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return err
	}
	if err := l.acquire(ctx.Err); err != nil {
		return err
	}
	defer l.release()
	if err := disk.Clean(l.dir); err != nil {
		return err
	}
	if l.key, err = loadKey(l.dir); err != nil {
		return err
	}
	if l.tree, err = openTree(filepath.Join(l.dir, treeName)); err != nil {
		return err
	}
	return l.start(ctx)
}

// Head is the signed head on the disk.
func (l *Log) Head() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.head.text
}

// ReserveReady says with an error that the reserve for final records was not
// whole when the log last looked.
func (l *Log) ReserveReady() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reserve
}

// Close waits for the batch under way and closes the files. Updates that still
// wait get ErrClosed.
func (l *Log) Close() error {
	var err error
	l.closed.Do(func() {
		close(l.closing)
		<-l.stopped
		if l.brokenBy() == nil {
			err = errors.Join(l.o.hooks.sync("audit.close", l.tree), l.settleHead())
		}
		err = errors.Join(err, l.closeFiles())
	})
	return err
}

func (l *Log) closeFiles() error {
	var errs []error
	for _, f := range []*os.File{l.file, l.tree, l.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
